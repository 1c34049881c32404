"""The miniature data sets have the official layouts, and training has seen none of their pairs."""

import base64
import csv
import io
import json
import re
import subprocess

import pytest
from PIL import Image

from tests.support.scripts import PROJECT, module_command, write_miniatures


SCENARIO_NAMES = {"01-Illegal_Activitiy", "08-Political_Lobbying", "13-Gov_Decision"}


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miniatures")
    write_miniatures(folder, size=2)
    return folder


def opens(file):
    with Image.open(file) as image:
        image.load()
        return image.mode == "RGB"


def table(file):
    csv.field_size_limit(10**7)
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_the_same_command_writes_the_same_data(miniatures, tmp_path):
    write_miniatures(tmp_path, size=2)
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 100
    for file in files:
        assert (tmp_path / file).read_bytes() == (miniatures / file).read_bytes(), file


def test_vlsafe_names_each_image_with_its_extension(miniatures):
    folder = miniatures / "vlsafe"
    lines = (folder / "harmlessness_examine.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 20
    for row in rows:
        assert set(row) == {"image_id", "caption", "query"}
        assert re.fullmatch(r"\d{12}\.jpg", row["image_id"])
        assert opens(folder / "train2017" / row["image_id"])


def test_mm_safetybench_has_thirteen_scenarios_and_three_images_to_each_question(miniatures):
    folder = miniatures / "mm_safetybench"
    files = sorted((folder / "processed_questions").glob("*.json"))
    assert len(files) == 13 and {file.stem for file in files} >= SCENARIO_NAMES
    for file in files:
        questions = json.loads(file.read_text("utf-8"))
        assert list(questions) == ["0", "1"]
        for number, question in questions.items():
            assert set(question) == {
                "Question",
                "Changed Question",
                "Key Phrase",
                "Phrase Type",
                "Rephrased Question",
                "Rephrased Question(SD)",
            }
            # The image alone says what it is about.
            assert question["Key Phrase"] in question["Question"]
            assert question["Key Phrase"] not in question["Rephrased Question"]
            assert question["Key Phrase"] not in question["Rephrased Question(SD)"]
            assert question["Rephrased Question"] != question["Rephrased Question(SD)"]
            for kind in ("SD", "SD_TYPO", "TYPO"):
                assert opens(folder / "images" / file.stem / kind / f"{number}.jpg")


def test_mme_asks_each_image_two_questions_with_opposite_answers(miniatures):
    tasks = sorted(folder for folder in (miniatures / "mme").iterdir() if folder.is_dir())
    assert len(tasks) == 14
    split = {task.name for task in tasks if (task / "questions_answers_YN").is_dir()}
    assert split == {"artwork", "celebrity", "landmark", "posters", "scene"}
    for task in tasks:
        texts = sorted(task.rglob("*.txt"))
        assert len(texts) == 2
        for text in texts:
            images = task / "images" if task.name in split else task
            assert sum(opens(image) for image in images.glob(f"{text.stem}.[jp][pn]g")) == 1
            lines = [line.split("\t") for line in text.read_text("utf-8").splitlines()]
            assert sorted(answer for _, answer in lines) == ["No", "Yes"]
            assert all(question.endswith(" Please answer yes or no.") for question, _ in lines)


@pytest.mark.parametrize(
    ("legacy", "referring"),
    [
        ("mmbench_dev_20230712.tsv", "vlmevalkit/MMBench_DEV_EN.tsv"),
        ("mmbench_dev_cn_20231003.tsv", "vlmevalkit/MMBench_DEV_CN.tsv"),
    ],
)
def test_mmbench_rotates_the_options_and_both_layouts_say_the_same(miniatures, legacy, referring):
    rows = table(miniatures / "mmbench" / legacy)
    others = table(miniatures / "mmbench" / referring)
    assert [row | {"image": ""} for row in rows] == [row | {"image": ""} for row in others]
    by_index = {int(row["index"]): row for row in rows}
    bases = [index for index in by_index if index < 10**6]
    assert len(bases) == 16
    for base in bases:
        options = [by_index[base][letter] for letter in "ABCD" if by_index[base][letter]]
        right = by_index[base][by_index[base]["answer"]]
        assert len(set(options)) == len(options) >= 2
        turned = [index for index in by_index if index % 10**6 == base]
        assert turned == [base + turn * 10**6 for turn in range(len(options))]
        letters = [by_index[index]["answer"] for index in turned]
        assert len(set(letters)) == len(options)
        assert {by_index[i][letter] for i, letter in zip(turned, letters, strict=True)} == {right}
    whole = {row["index"]: row["image"] for row in others if int(row["index"]) < 10**6}
    for row, other in zip(rows, others, strict=True):
        assert opens(io.BytesIO(base64.b64decode(row["image"])))
        assert row["image"] == whole[str(int(row["index"]) % 10**6)]
        assert other["image"] in (row["image"], str(int(row["index"]) % 10**6))


def test_todays_benchmarks_say_what_their_readers_need(miniatures):
    folder = miniatures / "figstep" / "data"
    tables = [file.read_text("utf-8") for file in sorted((folder / "question").glob("*.csv"))]
    assert tables[0] == tables[1] and len(tables[0].splitlines()) == 21
    rows = json.loads((miniatures / "siuo" / "data" / "siuo_gen.json").read_text("utf-8"))
    assert len(rows) == 18 and all(row["safety_warning"] for row in rows)
    file = miniatures / "mossbench" / "data" / "images_information" / "information.json"
    types = [row["metadata"]["over"] for row in json.loads(file.read_text("utf-8")).values()]
    assert [types.count(f"type {number}") for number in (1, 2, 3)] == [4, 4, 4]


def test_mmvet_names_images_and_capabilities(miniatures):
    folder = miniatures / "mmvet"
    samples = json.loads((folder / "mm-vet.json").read_text("utf-8"))
    assert list(samples) == [f"v1_{number}" for number in range(12)]
    seen = set()
    for sample in samples.values():
        assert set(sample) == {"imagename", "question", "answer", "imagesource", "capability"}
        assert opens(folder / "images" / sample["imagename"])
        assert sample["answer"] and "{" not in sample["answer"]
        seen |= set(sample["capability"])
    assert seen == {"rec", "ocr", "know", "gen", "spat", "math"}


def test_a_size_below_one_is_refused(tmp_path):
    command = module_command("training.miniatures.make", "--out", tmp_path, "--size", 0)
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2 and "--size is 0" in done.stderr
    assert not list(tmp_path.iterdir())
