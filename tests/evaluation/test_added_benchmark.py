"""A benchmark is added as one folder, and everything knows of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai._util.registry import registry_lookup
from setuptools import find_packages

from modeling_ecso.evaluation import benchmarks, tasks
from modeling_ecso.evaluation.judge_prompts import own_prompts, read_judge_prompts
from modeling_ecso.evaluation.logs import log_files
from modeling_ecso.evaluation.side_by_side import read_runs
from modeling_ecso.evaluation.summary import summary_of
from tests.evaluation.test_evaluation import ASKED, SCRIPT, ecso


ADDED = Path(__file__).parent / "added" / "toy"
DATA = [
    {"question": "Who are you?", "answer": "a toy", "scenario": "small"},
    {"question": "What are you?", "answer": "a toy", "scenario": "large"},
    {"question": "Are you a car?", "answer": "a car", "scenario": "large"},
]


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    """Put the folder among the benchmarks, as whoever adds one would."""
    shutil.copytree(ADDED, tmp_path / "added" / "toy")
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(tmp_path / "added")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("data").mkdir()
    Path("data/toy.json").write_text(json.dumps(DATA), "utf-8")
    ASKED.clear()
    SCRIPT.clear()
    SCRIPT.update({"llava-1.5-7b-hf": "a toy", "strict": "wrong", "odd": "hm"})
    tasks.register_all()
    yield
    for name in [name for name in sys.modules if ".benchmarks.toy" in name]:
        del sys.modules[name]


MODEL = ["--model", "inspect:scripted/llava-1.5-7b-hf", "--log-dir", "logs"]
EVAL = ["eval", "toy", "--data", "data", *MODEL, "--direct"]


def test_it_stands_where_its_record_says():
    assert "toy" in benchmarks.names_of()
    assert registry_lookup("task", "modeling_ecso/toy")
    assert "toy_judge" in own_prompts()


def test_the_help_names_it_and_its_options(capsys):
    status, out, _ = ecso(capsys, "eval", "--help")
    assert status == 0 and "toy" in out
    assert "--colour {red,blue}" in out and "toy: colour of the toy" in out
    assert "--only NAME" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["eval", "toy", "--data", "data", "--prompt", "llava"], "--prompt is for mme, not for to"),
        (["eval", "mme", "--data", "data", "--only", "small"], "--only is for toy, not for mme"),
        (["eval", "mme", "--data", "data", "--judge", "a/b"], ", not for mme"),
    ],
)
def test_options_of_others_are_refused(capsys, arguments, says):
    status, _, err = ecso(capsys, *arguments)
    assert status == 2 and says in err


def test_all_are_run_that_have_a_folder_each_with_the_options_that_it_takes(capsys, miniatures):
    shutil.copytree(miniatures / "mmvet", "sets/mmvet")
    shutil.copytree("data", "sets/toy")
    some = ["--direct", "--limit", "1", "--only", "small"]
    status, out, err = ecso(capsys, "eval", "all", "--data", "sets", *MODEL, *some)
    assert status == 0 and not err
    assert "MM-Vet" in out and "toy red direct" in out
    runs = {(run.benchmark, run.arguments.get("only")) for run in read_runs(Path("logs"))}
    assert runs == {("mmvet", None), ("toy", "small")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "data"], "data: no folder of a benchmark in it; name them vlsafe, mm"),
        (["--data", "hub:a/b"], "give a folder with one for each"),
        ([], "--data is missing; for all of them give"),
        (["--score-again"], "--score-again is for one benchmark"),
    ],
)
def test_all_needs_a_folder_of_folders(capsys, arguments, says):
    status, _, err = ecso(capsys, "eval", "all", *arguments)
    assert status == 2 and says in err


def test_it_runs_with_tables_notes_and_exports_and_is_resumed(capsys):
    status, out, err = ecso(capsys, *EVAL, "--export", "out")
    assert status == 0 and not err
    assert "toy red direct" in out and "toy blue direct" in out
    assert "Toy Benchmark" in out and "66.7" in out and "toy-rule" in out
    assert "scenario, direct" in out and "mean of the paper's two scenarios" in out
    exported = Path("out/scripted-llava-1.5-7b-hf_toy_blue_direct.toy")
    assert exported.read_text("utf-8") == "a toy\n" * 3
    assert ASKED["llava-1.5-7b-hf"] == 6
    assert ecso(capsys, *EVAL, "--resume")[0] == 0 and ASKED["llava-1.5-7b-hf"] == 6


def test_its_logs_are_read_summed_up_and_reported(capsys):
    ecso(capsys, *EVAL, "--only", "large")
    assert len(log_files(Path("logs"))) == 2
    runs = read_runs(Path("logs"))
    assert [(run.benchmark, run.kind, len(run.samples)) for run in runs] == [
        ("toy", "red", 2),
        ("toy", "blue", 2),
    ]
    assert runs[0].samples[0].query == "red: What are you?"
    assert summary_of(runs) == {"toy": {"red": {"direct": 50.0}, "blue": {"direct": 50.0}}}
    status, out, err = ecso(capsys, "report", "logs", "--out", "report")
    assert status == 0 and not err and "harmless-by-scenario.png" in out
    page = Path("report/index.html").read_text("utf-8")
    for said in ("Toy Benchmark, as in", "mean of 1 of the paper's two", "paper 12.3, other toy"):
        assert said in page.replace("&#39;", "'")
    assert "Toy Benchmark is a toy." in page and "made up" in page
    figures = json.loads(Path("report/figures.json").read_text("utf-8"))
    assert figures["headlines"][0]["unit"] == "points"
    card = json.loads(Path("report/card.json").read_text("utf-8"))
    assert card["rows"] == []  # nothing protected was run


def test_it_is_judged_and_judged_again(capsys):
    status, out, _ = ecso(capsys, *EVAL, "--colour", "red", "--judge", "scripted/strict")
    assert status == 0 and "judged by scripted/strict" in out and "66.7" not in out
    again = ["eval", "toy", "--score-again", *MODEL, "--colour", "red"]
    status, out, _ = ecso(capsys, *again, "--judge", "scripted/odd")
    assert status == 0 and "direct: 3 toys could not be read" in out
    entry = {"name": "toy_judge", "prompt_template": "Well?\n{answer}"}
    Path("judge.jsonl").write_text(json.dumps(entry), "utf-8")
    assert read_judge_prompts(Path("judge.jsonl"))["toy_judge"].is_published


def test_every_folder_is_part_of_the_package():
    package = Path(benchmarks.__file__).parent
    folders = [file.parent.name for file in package.glob("*/benchmark.py")]
    assert len(folders) >= 8
    project = package.parents[2]
    # A folder with an __init__.py is found; what the wheel holds is compared with the files.
    found = find_packages(str(project), include=["modeling_ecso*"])
    for folder in folders:
        assert f"modeling_ecso.evaluation.benchmarks.{folder}" in found


def test_the_command_line_learns_of_benchmarks_without_loading_what_runs_them():
    code = (
        "import sys; from modeling_ecso.cli import main\n"
        "try: main(['eval', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'inspect_ai', 'torch', 'transformers', 'datasets', 'openpyxl', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
