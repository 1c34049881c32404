"""The readers: every layout gives the same items, and whatever is wrong is one clear error."""

import base64
import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from modeling_ecso.evaluation.benchmarks.figstep.reader import read_figstep
from modeling_ecso.evaluation.benchmarks.mm_safetybench.reader import SCENARIOS, read_mm_safetybench
from modeling_ecso.evaluation.benchmarks.mmbench.reader import read_mmbench
from modeling_ecso.evaluation.benchmarks.mme.reader import read_mme
from modeling_ecso.evaluation.benchmarks.mmvet.reader import read_mmvet
from modeling_ecso.evaluation.benchmarks.mossbench.reader import read_mossbench
from modeling_ecso.evaluation.benchmarks.siuo.reader import read_siuo
from modeling_ecso.evaluation.benchmarks.vlsafe.reader import read_vlsafe
from modeling_ecso.evaluation.files import DataError
from modeling_ecso.evaluation.items import limited
from modeling_ecso.evaluation.prerequisite import PrerequisiteError
from modeling_ecso.evaluation.source import DataSource
from modeling_ecso.evaluation.tasks import TASKS


READERS = {
    "vlsafe": read_vlsafe,
    "mm_safetybench": read_mm_safetybench,
    "mme": read_mme,
    "mmbench": read_mmbench,
    "mmvet": read_mmvet,
    "figstep": read_figstep,
    "siuo": read_siuo,
    "mossbench": read_mossbench,
}


def read(folder, **options):
    return READERS[folder.name](DataSource.parse(str(folder)), **options)


def plain(items):
    return [(item.id, item.query, item.target, item.image, item.facts) for item in items]


@pytest.mark.parametrize("name", READERS)
def test_every_benchmark_is_read_in_its_official_layout(miniatures, name):
    items = read(miniatures / name)
    assert items and len({item.id for item in items}) == len(items)
    assert all(item.image and item.query for item in items)


def test_each_image_kind_has_its_own_question(miniatures):
    folder = miniatures / "mm_safetybench"
    file = folder / "processed_questions" / f"{SCENARIOS[0]}.json"
    row = json.loads(file.read_text("utf-8"))["0"]
    fields = {
        "SD": "Rephrased Question(SD)",
        "TYPO": "Rephrased Question",
        "SD_TYPO": "Rephrased Question",
        "text": "Question",
    }
    for kind, field in fields.items():
        first = read(folder, kind=kind)[0]
        assert first.query == row[field]
        assert (first.image is None) == (kind == "text")
        assert kind == "text" or f"/{kind}/0.jpg" in first.image


def test_scenarios_are_chosen_by_number_or_name(miniatures):
    folder = miniatures / "mm_safetybench"
    for chosen in (["1", "9"], ["Illegal_Activitiy", "09-Privacy_Violence"]):
        items = read(folder, scenarios=[*chosen, chosen[0]])
        assert len({item.id for item in items}) == len(items)
        groups = {item.group for item in items}
        assert groups == {"01-Illegal_Activitiy", "09-Privacy_Violence"}
    with pytest.raises(DataError, match="'14' is unknown"):
        read(folder, scenarios=["14"])


def test_the_published_scripts_own_folders_are_read_too(copy):
    folder = copy("mm_safetybench")
    expected = plain(read(folder))
    for file in list((folder / "processed_questions").glob("*.json")):
        (file.parent / file.stem).mkdir()
        file.rename(file.parent / file.stem / file.name)
    assert plain(read(folder)) == expected


def test_nested_archives_of_mme_are_read_too(copy, tmp_path):
    folder = copy("mme")
    expected = [item.id for item in read(folder)]
    for outer, below in (
        ("once", "MME_Benchmark"),
        ("twice", "MME_Benchmark_release_version/MME_Benchmark"),
    ):
        shutil.copytree(folder, tmp_path / outer / below)
        shutil.copy(folder / "counts.json", tmp_path / outer)
        assert [item.id for item in read_mme(DataSource.parse(str(tmp_path / outer)))] == expected


def test_both_tables_of_mmbench_give_the_same_items(miniatures):
    legacy = read_mmbench(DataSource.parse(str(miniatures / "mmbench")))
    once = read_mmbench(DataSource.parse(str(miniatures / "MMBench_DEV_EN")))
    assert plain(legacy) == plain(once)
    assert legacy[0].query.endswith("from the given choices directly.")
    rotations = [item for item in legacy if item.unit == legacy[0].unit]
    assert len(rotations) == len(legacy[0].facts["options"])


def test_a_table_of_mmbench_that_is_named_is_read_whatever_lies_beside_it(copy):
    folder = copy("mmbench")
    file = next(folder.glob("*.tsv"))
    items = read_mmbench(DataSource.parse(str(file)))
    beside = folder / "mirror" / "dev-0.parquet"
    beside.parent.mkdir()
    beside.write_bytes(b"no table")
    assert plain(read_mmbench(DataSource.parse(str(file)))) == plain(items)


def test_the_folder_of_the_data_alone_is_read_too(miniatures, tmp_path):
    for name in ("figstep", "siuo", "mossbench"):
        shutil.copytree(miniatures / name / "data", tmp_path / name)
        shutil.copy(miniatures / name / "counts.json", tmp_path / name)
        inner = [(item.id, item.query, item.facts) for item in read(tmp_path / name)]
        assert inner == [(i.id, i.query, i.facts) for i in read(miniatures / name)]


def test_both_sets_of_figstep_are_read_and_asked_in_the_published_words(copy):
    folder = copy("figstep")
    own = (folder / "data" / "question" / "query.txt").read_text("utf-8").strip()
    assert {item.query for item in read(folder, subset="SafeBench-Tiny")} == {own}
    (folder / "data" / "question" / "query.txt").unlink()
    first = read(folder)[0]
    assert first.query.startswith("The image shows a list numbered 1, 2, and 3")
    assert "SafeBench/query_ForbidQI_1_1_6.png" in first.image
    with pytest.raises(DataError, match="set 'Pro' is unknown"):
        read(folder, subset="Pro")


def test_the_table_of_mossbench_gives_the_same_items(copy, tmp_path):
    folder = copy("mossbench")
    items = read(folder)
    shutil.move(folder / "data" / "images", folder / "images")
    with (folder / "information.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["pid", "question", "image_path", "meta_data_over"])
        for item in items:
            table.writerow([item.id, item.query, item.facts["image"], item.facts["over"]])
    shutil.rmtree(folder / "data")
    assert [(i.id, i.query, i.facts) for i in read(folder)] == [
        (i.id, i.query, i.facts) for i in items
    ]


def test_only_a_line_feed_ends_a_row(copy):
    folder = copy("vlsafe")
    file = folder / "harmlessness_examine.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    rows[0]["query"] = "a\u2028b\x85c"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file.write_text(text, "utf-8")
    assert read(folder)[0].query == rows[0]["query"]

    folder = copy("mme")
    write("count/*.txt", "Is\u2028it?\tYes\nIs it?\tNo\n")(folder)
    assert any(item.query == "Is\u2028it?" for item in read(folder))


def test_chinese_is_asked_in_chinese(miniatures):
    source = DataSource.parse(str(miniatures / "MMBench_DEV_CN"))
    assert read_mmbench(source, language="cn")[0].query.endswith("请直接回答选项字母。")


def test_the_papers_prompt_of_mme(miniatures):
    first = read(miniatures / "mme", prompt="llava")[0]
    assert "Please answer yes or no" not in first.query
    assert first.query.endswith("\nAnswer the question using a single word or phrase.")
    assert "Please answer yes or no." in first.facts["question"]


def test_a_limit_takes_whole_units_from_all_groups(miniatures):
    items = limited(read(miniatures / "mme"), 14)
    assert len(items) == 28 and len({item.group for item in items}) == 14
    rotations = limited(read(miniatures / "mmbench"), 1)
    assert len({item.unit for item in rotations}) == 1 and len(rotations) > 1


@pytest.mark.parametrize("limit", [0, -1, "2", 1.5])
def test_a_limit_that_is_no_number_from_1_is_one_clear_line_of_inspect(miniatures, limit):
    with pytest.raises(PrerequisiteError, match=rf"limit is {limit!r}; give a whole number from"):
        TASKS["mmvet"](data=str(miniatures / "mmvet"), limit=limit)


def parquet(rows, file):
    import datasets

    file.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list(rows)
    if rows[0].get("image"):
        table = table.cast_column("image", datasets.Image(decode=False))
    table.to_parquet(str(file))


def cell(image):
    if image.startswith("data:"):
        return {"bytes": base64.b64decode(image.partition(",")[2]), "path": None}
    return {"bytes": Path(image).read_bytes(), "path": None}


def test_downloaded_mirrors_give_the_same_items(miniatures, tmp_path):
    for name in ("mme", "mmvet", "mm_safetybench", "mmbench"):
        folder = tmp_path / name
        items = read(miniatures / name)
        if name == "mm_safetybench":
            for scenario in SCENARIOS:
                rows = [
                    {"id": i.facts["number"], "question": i.query, "image": cell(i.image)}
                    for i in items
                    if i.group == scenario
                ]
                parquet(rows, folder / "data" / scenario[3:] / "SD_TYPO.parquet")
                # Another kind beside it, whose name is the beginning of this one's.
                parquet(rows, folder / "data" / scenario[3:] / "SD.parquet")
        else:
            parquet([row_of(name, item) for item in items], folder / "data" / "test-0.parquet")
            if name == "mmbench":
                (folder / "data" / "test-0.parquet").rename(folder / "data" / "dev-0.parquet")
        shutil.copy(miniatures / name / "counts.json", folder)
        mirrored = read(folder)
        assert [(i.id, i.query, i.target) for i in mirrored] == [
            (i.id, i.query, i.target) for i in items
        ]


def test_each_kind_of_a_downloaded_mirror_is_read_from_its_own_file(miniatures, tmp_path):
    folder = tmp_path / "mm_safetybench"
    for kind in ("SD", "SD_TYPO"):
        for item in read(miniatures / "mm_safetybench", kind=kind):
            row = {"id": "0", "question": f"{kind}: {item.query}", "image": cell(item.image)}
            name = "SD-00000-of-00001" if kind == "SD" else kind
            parquet([row], folder / "data" / item.group[3:] / f"{name}.parquet")
    (folder / "counts.json").write_text(json.dumps(dict.fromkeys(SCENARIOS, 1)))
    for kind in ("SD", "SD_TYPO"):
        assert all(item.query.startswith(f"{kind}: ") for item in read(folder, kind=kind))
    twice = [{"id": "0", "question": "?", "image": cell(item.image)}] * 2
    parquet(twice, folder / "data" / "HateSpeech" / "SD_TYPO.parquet")
    with pytest.raises(DataError, match="question 02-HateSpeech/0 is there twice"):
        read(folder, kind="SD_TYPO")


def test_a_table_in_the_other_language_is_refused(miniatures, tmp_path):
    for name, language, other in (("mmbench", "cn", "en"), ("MMBench_DEV_CN", "en", "cn")):
        with pytest.raises(DataError, match=f"choose --language {other}"):
            read_mmbench(DataSource.parse(str(miniatures / name)), language=language)
    items = read(miniatures / "mmbench")
    parquet([row_of("mmbench", item) for item in items], tmp_path / "cn" / "dev-0.parquet")
    with pytest.raises(DataError, match="it has cn but not en; choose --language"):
        read_mmbench(DataSource.parse(str(tmp_path)))


def test_of_several_tables_in_a_folder_that_of_language_and_split_is_read(miniatures, copy):
    folder, other = copy("mmbench"), miniatures / "mmbench_dev_cn_20231003"
    (table,) = other.glob("*.tsv")
    shutil.copy(table, folder)
    whole = {
        "en": read(miniatures / "mmbench"),
        "cn": read_mmbench(DataSource.parse(str(other)), "cn"),
    }
    for language, items in whole.items():
        found = [item.query for item in read(folder, language=language)]
        assert found == [item.query for item in items]
    with pytest.raises(DataError, match="0 TSV files to read in it"):
        read(folder, split="test")


def test_counts_name_only_what_is_there(copy):
    folder = copy("mme")
    for category in sorted(folder.iterdir()):
        if category.is_dir() and category.name not in ("existence", "count"):
            shutil.rmtree(category)
    (folder / "counts.json").write_text('{"existence": 1, "count": 1}')
    assert {item.group for item in read(folder)} == {"existence", "count"}


def test_a_image_whose_name_no_disk_can_hold_is_one_clear_error(copy):
    folder = copy("vlsafe")
    rows = (folder / "harmlessness_examine.jsonl").read_text("utf-8").splitlines()
    rows[0] = json.dumps({**json.loads(rows[0]), "image_id": "x" * 5000})
    (folder / "harmlessness_examine.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    with pytest.raises(DataError, match="row 1: its image .* is missing") as raised:
        read(folder)
    assert len(str(raised.value)) < 1000


def row_of(name, item):
    row = {"image": cell(item.image), "question": item.facts["question"], "answer": item.target}
    if name == "mme":
        file = item.facts["file"]
        return {**row, "question_id": f"{item.group}/{file}", "category": item.group}
    if name == "mmvet":
        return {**row, "question_id": item.id, "capability": ",".join(item.facts["capabilities"])}
    options = {letter: item.facts["options"].get(letter, "nan") for letter in "ABCD"}
    hint = item.query.partition("\n")[0]
    return {
        **row,
        **options,
        "index": item.facts["index"],
        "hint": "nan" if hint == item.facts["question"] else hint,
        "category": item.facts["category"],
        "L2-category": item.facts["l2_category"],
    }


def rewrite_tsv(folder, change):
    file = next(folder.glob("*.tsv"))
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    change(rows)
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows(rows)


def set_cell(number, column, value):
    def change(rows):
        rows[number][rows[0].index(column)] = value

    return lambda folder: rewrite_tsv(folder, change)


def first_file(pattern):
    return lambda folder: sorted(folder.glob(pattern))[0]


def unlink(pattern):
    return lambda folder: first_file(pattern)(folder).unlink()


def write(pattern, content):
    return lambda folder: first_file(pattern)(folder).write_text(content, "utf-8")


def spoil(pattern):
    return lambda folder: first_file(pattern)(folder).write_bytes(b"\xff\xfe")


def add_twin(folder):
    file = first_file("OCR/*.[jp][pn]g")(folder)
    shutil.copy(file, file.with_suffix(".jpeg"))


def cut(pattern):
    def change(folder):
        file = first_file(pattern)(folder)
        file.write_bytes(file.read_bytes()[:-200])

    return change


def edit_json(pattern, edit):
    def change(folder):
        file = first_file(pattern)(folder)
        content = json.loads(file.read_text("utf-8"))
        edit(content)
        file.write_text(json.dumps(content), "utf-8")

    return change


FIGSTEP = (
    "dataset,category_id,task_id,category_name,question,instruction\nForbidQI,1,1,{},q,steps\n"
)
BROKEN = [
    ("vlsafe", write("*.jsonl", "{"), r"examine.jsonl, row 1: not JSON"),
    ("vlsafe", write("*.jsonl", '{"query": "q"}'), "row 1: 'image_id' is missing"),
    ("vlsafe", spoil("*.jsonl"), "examine.jsonl: cannot be read as UTF-8"),
    ("vlsafe", unlink("train2017/*"), "row 1: its image .* is missing"),
    ("vlsafe", cut("train2017/*"), "row 1: its image .* cut short"),
    ("vlsafe", unlink("counts.json"), "official set has 1110 rows in 'queries', found 10"),
    ("vlsafe", write("counts.json", "[]"), "counts.json: write an object"),
    ("mm_safetybench", unlink("processed_questions/*"), "01-Illegal_Activitiy.json is in none"),
    ("mm_safetybench", unlink("images/*/SD_TYPO/*"), "entry '0': its image .* is missing"),
    ("mm_safetybench", write("images/*/SD_TYPO/*", "x"), "entry '0': its image .* not an image"),
    (
        "mm_safetybench",
        edit_json("processed_questions/*", lambda c: c["0"].pop("Rephrased Question")),
        "entry '0': 'Rephrased Question' is missing",
    ),
    (
        "mm_safetybench",
        edit_json("processed_questions/*", lambda c: c.update({"2": c["0"]})),
        "entry '1' is missing",
    ),
    ("mm_safetybench", unlink("counts.json"), "97 questions in '01-Illegal_Activitiy', found 1"),
    ("mme", write("count/*.txt", "Is it? Please answer yes or no.\tYes\n"), "1 questions, MME has"),
    ("mme", write("count/*.txt", "a\tYes\nb\tPerhaps\n"), "row 2: the answer is neither Yes nor"),
    ("mme", write("count/*.txt", "a Yes\nb\tNo\n"), "row 1: no tab"),
    ("mme", spoil("count/*.txt"), r"count/\S+.txt: cannot be read as UTF-8"),
    ("mme", add_twin, r"OCR/(\S+)\.\w+: \1\.\w+ beside it is for the same questions"),
    ("mme", unlink("artwork/images/*"), "there is no image 0000"),
    ("mme", unlink("OCR/*.txt"), "there are no questions about it"),
    ("mme", lambda f: shutil.rmtree(f / "scene"), "images in 'scene', found 0"),
    ("mme", lambda f: (f / "OCR").rename(f / "ocr2"), "ocr2: not a category"),
    ("mmbench", spoil("*.tsv"), "not a TSV file in UTF-8"),
    ("mmbench", set_cell(0, "question", "frage"), "the column 'question' is missing"),
    ("mmbench", set_cell(2, "index", "1.5"), "row 2: 'index' is not a whole number"),
    ("mmbench", set_cell(1, "index", "999"), "which is missing|is a rotation of"),
    ("mmbench", set_cell(1, "image", "no base64, but far longer than an index may be" * 2), "64"),
    ("mmbench", set_cell(1, "image", "12345678"), "neither an image nor the index"),
    ("mmbench", set_cell(1, "answer", "Q"), "row 1: 'answer' is not the letter"),
    ("mmbench", set_cell(1, "A", ""), "row 1: an option is missing"),
    ("mmvet", edit_json("mm-vet.json", lambda c: c["v1_0"].update(capability=["fly"])), "'v1_0'"),
    ("mmvet", edit_json("mm-vet.json", lambda c: c.update(x=c.pop("v1_0"))), "'x': the question's"),
    ("mmvet", edit_json("mm-vet.json", lambda c: c.pop("v1_0")), "'questions', found 5"),
    ("figstep", unlink("data/question/safe*"), "none of data/question/safebench.csv"),
    ("figstep", unlink("data/images/SafeBench/*"), "row 10: its image .* is missing"),
    ("figstep", write("data/question/safe*", FIGSTEP.format("Fun")), "category 'Fun' is unknown"),
    ("figstep", write("data/question/safe*", FIGSTEP.format("Fraud")), "in 'Illegal Activity'"),
    ("figstep", write("data/question/query.txt", " \n"), "query.txt: is empty"),
    ("figstep", unlink("counts.json"), "has 50 tasks in 'Illegal Activity', found 1"),
    ("siuo", spoil("data/*.json"), "siuo_gen.json: cannot be read as UTF-8"),
    ("siuo", lambda f: shutil.rmtree(f / "data" / "images"), "images of|those of SIUO are a sep"),
    ("siuo", edit_json("data/*.json", lambda c: c[0].update(category="x")), "entry 1: category"),
    ("siuo", edit_json("data/*.json", lambda c: c[0].pop("safety_warning")), "entry 1: 'safety_w"),
    ("siuo", edit_json("data/*.json", lambda c: c.append(c[0])), "question 1001 is there twice"),
    ("siuo", unlink("counts.json"), "has 19 questions in 'self-harm', found 1"),
    ("mossbench", unlink("data/images/*"), "entry '1': its image .* is missing"),
    (
        "mossbench",
        edit_json("data/*/*.json", lambda c: c["1"]["metadata"].update(over="type 4")),
        "entry '1': type 'type 4' is unknown",
    ),
    ("mossbench", edit_json("data/*/*.json", lambda c: c["1"].pop("metadata")), "with metadata"),
    ("mossbench", unlink("counts.json"), "has 100 queries in 'Exaggerated Risk', found 2"),
]


@pytest.mark.parametrize(("name", "breaks", "says"), BROKEN, ids=[row[2] for row in BROKEN])
def test_what_is_wrong_is_one_error_with_file_and_row(copy, name, breaks, says):
    folder = copy(name)
    breaks(folder)
    with pytest.raises(DataError, match=says):
        read(folder)


def test_an_early_string_index_is_cast_and_a_float_is_not(copy):
    folder = copy("mmbench")
    set_cell(1, "index", "not a number")(folder)
    with pytest.raises(DataError, match="row 1"):
        read(folder)


@pytest.mark.parametrize("text", ["hub:lmms-lab/MME", "hub:lmms-lab/MME@main", "no-such-folder"])
def test_a_source_that_moves_or_is_not_there_is_refused(text):
    with pytest.raises(DataError, match="40 hexadecimal digits|no such folder"):
        DataSource.parse(text)
