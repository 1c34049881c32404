"""Downloaded data may name any file, and files may be anything: one error, with file and row."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

from modeling_ecso.evaluation.files import DataError
from modeling_ecso.evaluation.judge_prompts import read_judge_prompts
from tests.evaluation.test_readers import first_file, plain, read


@pytest.fixture(autouse=True)
def _in_time():
    """Let nothing wait for a pipe that nobody writes to."""

    def too_late(*_):
        raise AssertionError("it hangs")

    earlier = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, earlier)


def rename_image(folder, name):
    """Make the first row of VLSafe or MM-Vet name another image."""
    if folder.name == "mmvet":
        file = folder / "mm-vet.json"
        rows = json.loads(file.read_text("utf-8"))
        rows["v1_0"]["imagename"] = name
        file.write_text(json.dumps(rows), "utf-8")
        return
    file = folder / "harmlessness_examine.jsonl"
    first, *others = file.read_text("utf-8").splitlines()
    row = json.dumps({**json.loads(first), "image_id": name})
    file.write_text("\n".join([row, *others]) + "\n", "utf-8")


@pytest.mark.parametrize("benchmark", ["vlsafe", "mmvet"])
@pytest.mark.parametrize(
    "name",
    ["../../private.png", "{outside}", "sub/../../../private.png", "./../../private.png"],
)
def test_a_row_names_no_image_outside_its_folder(copy, tmp_path, benchmark, name):
    folder = copy(benchmark)
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    rename_image(folder, name.format(outside=tmp_path / "private.png"))
    with pytest.raises(DataError, match=r"(row 1|entry 'v1_0'): its image .* leads out of"):
        read(folder)


@pytest.mark.parametrize(
    ("benchmark", "pattern"),
    [
        ("vlsafe", "train2017/*.jpg"),
        ("mmvet", "images/*"),
        ("mme", "count/*.[jp][pn]g"),
        ("mm_safetybench", "images/*/SD_TYPO/*.jpg"),
    ],
)
def test_an_image_is_no_link_to_elsewhere_and_no_pipe(copy, tmp_path, benchmark, pattern):
    folder = copy(benchmark)
    image = first_file(pattern)(folder)
    outside = tmp_path / f"private{image.suffix}"
    shutil.move(image, outside)
    image.symlink_to(outside)
    with pytest.raises(DataError, match="its image .* leads out of"):
        read(folder)
    image.unlink()
    os.mkfifo(image)
    with pytest.raises(DataError, match=r"its image .* no regular file"):
        read(folder)
    image.unlink()
    image.symlink_to(image.name)
    with pytest.raises(DataError, match=f"its image .*{image.name}"):
        read(folder)


def test_a_folder_of_images_may_itself_be_a_link_and_so_may_a_snapshot_of_the_hub(copy, tmp_path):
    folder = copy("mmvet")
    expected = [(item.id, item.query) for item in read(folder)]
    elsewhere = Path(shutil.move(folder / "images", tmp_path / "elsewhere"))
    (folder / "images").symlink_to(elsewhere)
    assert [(item.id, item.query) for item in read(folder)] == expected

    snapshot = tmp_path / "datasets--a--b" / "snapshots" / ("0" * 40) / "mmvet"
    snapshot.parent.mkdir(parents=True)
    (folder / "images").unlink()
    shutil.move(elsewhere, folder / "images")
    shutil.move(folder, snapshot)
    blobs = tmp_path / "datasets--a--b" / "blobs"
    blobs.mkdir()
    for number, image in enumerate((snapshot / "images").iterdir()):
        shutil.move(image, blobs / str(number))
        image.symlink_to(blobs / str(number))
    assert [(item.id, item.query) for item in read(snapshot)] == expected


@pytest.mark.parametrize(
    ("benchmark", "pattern"),
    [
        ("vlsafe", "harmlessness_examine.jsonl"),
        ("vlsafe", "counts.json"),
        ("mmvet", "mm-vet.json"),
        ("mme", "count/*.txt"),
        ("mmbench", "*.tsv"),
        ("mm_safetybench", "processed_questions/01*.json"),
    ],
)
def test_a_table_is_no_pipe(copy, benchmark, pattern):
    folder = copy(benchmark)
    file = first_file(pattern)(folder)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match=f"{file.name}: no regular file"):
        read(folder)


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000])
def test_a_name_that_no_disk_can_hold_is_one_short_line(copy, name):
    folder = copy("vlsafe")
    rename_image(folder, name)
    with pytest.raises(DataError, match="row 1: its image .* is missing") as raised:
        read(folder)
    assert len(str(raised.value)) < 1000


def test_json_that_is_too_deep_is_one_clear_error(copy):
    folder = copy("mmvet")
    (folder / "mm-vet.json").write_text("[" * 100_000, "utf-8")
    with pytest.raises(DataError, match="mm-vet.json: not JSON"):
        read(folder)


@pytest.mark.parametrize(
    ("benchmark", "patterns"),
    [
        ("vlsafe", ["harmlessness_examine.jsonl", "counts.json"]),
        ("mmvet", ["mm-vet.json", "counts.json"]),
        ("mme", ["*/*.txt", "*/questions_answers_YN/*.txt", "counts.json"]),
        ("mmbench", ["*.tsv", "counts.json"]),
        ("mm_safetybench", ["processed_questions/*.json", "counts.json"]),
    ],
)
def test_a_byte_order_mark_is_no_part_of_what_is_read(copy, benchmark, patterns):
    folder = copy(benchmark)
    expected = plain(read(folder))
    for pattern in patterns:
        files = list(folder.glob(pattern))
        assert files
        for file in files:
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert plain(read(folder)) == expected


def test_a_judge_file_may_begin_with_a_byte_order_mark(tmp_path):
    entry = {"name": "query_safety", "prompt_template": "{answer}"}
    (tmp_path / "judge.jsonl").write_text(json.dumps(entry), "utf-8-sig")
    assert read_judge_prompts(tmp_path / "judge.jsonl")["query_safety"].template == "{answer}"
    (tmp_path / "grader.txt").write_text("Grade.", "utf-8-sig")
    prompt = read_judge_prompts(tmp_path / "grader.txt")["mm_vet"]
    assert prompt.template.startswith("Grade.\n")
