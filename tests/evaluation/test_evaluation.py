"""`ecso eval` and `ecso report` end to end, on the tiny model and on a scripted one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from hub_upload.results import read_result_file
from modeling_ecso.cli import main
from modeling_ecso.evaluation.benchmarks.mme.metrics import MMERecord, mme_scores
from modeling_ecso.evaluation.side_by_side import read_runs


SCRIPT: dict[str, str] = {}
ASKED: dict[str, int] = {}


@modelapi(name="scripted")
class Scripted(ModelAPI):
    """Says what SCRIPT has for its name, and counts how often it was asked."""

    async def generate(self, input, tools, tool_choice, config):
        ASKED[self.model_name] = ASKED.get(self.model_name, 0) + 1
        says = SCRIPT[self.model_name]
        if says == "fail once" and ASKED[self.model_name] == 1:
            raise RuntimeError("not now")
        output = ModelOutput.from_content(self.model_name, says)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


@pytest.fixture(autouse=True)
def script(monkeypatch, tmp_path):
    SCRIPT.clear()
    ASKED.clear()
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return SCRIPT


def ecso(capsys, *arguments):
    """Return exit status, standard output and standard error."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def rows_in(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_protection_shows_in_the_table_the_exports_and_the_report(capsys, miniatures, tmp_path):
    common = ["--compare", "--log-dir", "logs", "--export", "out", "--keep-drafts"]
    data = miniatures / "mm_safetybench"
    status, out, err = ecso(
        capsys, "eval", "mm_safetybench", "--data", data, "--kind", "SD", "--limit", 4, *common
    )
    assert status == 0 and not err
    assert "mm_safetybench SD protected" in out and "4/4" in out and "?" not in out
    assert re.search(r"MM-SafetyBench\s+SD\s+0\.0\s+100\.0\s", out)  # one sample has no spread
    assert "MM-SafetyBench, SD: mean of 4 of the paper's eight scenarios" in out
    assert "MM-SafetyBench: limited to 4 samples" in out
    assert "judged by refusal-rules-1" in out and "guard acted on 100.0%" in out

    row = rows_in(Path("out/tiny_mm_safetybench_SD_protected/01-Illegal_Activitiy.jsonl"))[0]
    fields = ["image", "query", "text", "model_id", "unsafe_answer", "caption", "unsafe"]
    assert list(row) == fields
    direct = rows_in(Path("out/tiny_mm_safetybench_SD_direct/01-Illegal_Activitiy.jsonl"))[0]
    assert row["unsafe"] == "Yes" and row["unsafe_answer"] == direct["text"] != row["text"]

    status, _, _ = ecso(capsys, "eval", "mme", "--data", miniatures / "mme", *common)
    assert status == 0
    lines = Path("out/tiny_mme_direct/count.txt").read_text("utf-8").splitlines()
    assert len(lines) == 2 and all(len(line.split("\t")) == 4 for line in lines)

    status, out, err = ecso(capsys, "report", "logs", "--out", "report")
    assert status == 0 and not err
    summary = json.loads(Path("report/summary.json").read_text("utf-8"))
    assert summary["mm_safetybench"]["SD"] == {"direct": 0.0, "protected": 100.0}
    assert set(summary["mme"]["perception"]) == {"direct", "protected"}
    assert (
        "protected" in summary["benign"]["flagged"] and "protected" in summary["benign"]["changed"]
    )
    card = read_result_file(Path("report/card.json"), "card.json")
    assert card.command == "ecso eval BENCHMARK --model tiny --data DIR --compare"
    named = {row.name: row for row in card.rows}
    part = "mean of 4 of the paper's eight scenarios"
    row = named[f"MM-SafetyBench, SD, {part}, 4 samples, scored by refusal-rules-1"]
    assert (row.direct, row.protected) == ("0.0%", "100.0%")
    page = Path("report/index.html").read_text("utf-8")
    assert "mean of 4 of the paper" in page and "limited to 4 samples" in page
    assert "data:image/png;base64," in page and "01-Illegal_Activitiy" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page) and "http" not in page
    for name in ("harmless-by-scenario", "utility", "cost"):
        assert Path(f"report/{name}.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads(Path("report/figures.json").read_text("utf-8"))
    assert figures["guard"][0]["figures"]["flagged"]["value"] == 100
    assert set(figures["costs"][0]["steps"]) == {"direct", "detect", "caption", "safe"}


def test_without_being_asked_no_draft_and_no_caption_is_in_logs_or_exports(capsys, miniatures):
    data = miniatures / "mm_safetybench"
    options = ["--kind", "SD", "--limit", 1, "--export", "out", "--log-dir", "logs"]
    _, out, _ = ecso(capsys, "eval", "mm_safetybench", "--data", data, *options)
    row = rows_in(Path("out/tiny_mm_safetybench_SD_protected/01-Illegal_Activitiy.jsonl"))[0]
    assert row["unsafe"] == "Yes" and "unsafe_answer" not in row and "caption" not in row
    assert "drafts and captions are left out; with --keep-drafts" in out
    sample = read_runs(Path("logs"))[0].samples[0]
    assert "draft" not in sample.trace and sample.trace["outcome"] == "safe"
    assert sample.trace.get("caption") is None
    import zipfile

    log = next(Path("logs").glob("*.eval"))
    with zipfile.ZipFile(log) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"step one" not in content and b"data:image" not in content


def test_mmbench_is_exported_with_all_rotations_for_the_server(capsys, miniatures):
    import openpyxl

    options = ["--direct", "--limit", 2, "--export", "out"]
    status, out, _ = ecso(capsys, "eval", "mmbench", "--data", miniatures / "mmbench", *options)
    assert status == 0 and "circular" in out
    sheet = openpyxl.load_workbook("out/tiny_mmbench_en_direct.xlsx").active
    header, *rows = sheet.iter_rows(values_only=True)
    assert header == ("index", "question", "A", "B", "C", "D", "prediction", "answer", "split")
    assert len(rows) > 2 and len({row[0] % 1_000_000 for row in rows}) == 2


def test_mmvet_is_exported_by_id(capsys, miniatures):
    options = ["--direct", "--export", "out", "--limit", 2]
    assert ecso(capsys, "eval", "mmvet", "--data", miniatures / "mmvet", *options)[0] == 0
    answers = json.loads(Path("out/tiny_mmvet_direct.json").read_text("utf-8"))
    assert len(answers) == 2 and all(name.startswith("v1_") for name in answers)


def test_tabs_and_line_breaks_in_an_answer_leave_the_mme_file_whole(capsys, miniatures, script):
    script["model"] = "Yes\nof\tcourse"
    options = ["--model", "inspect:scripted/model", "--direct", "--export", "out"]
    status, out, _ = ecso(capsys, "eval", "mme", "--data", miniatures / "mme", *options)
    assert status == 0 and "mme-rule" in out
    records = []
    for file in Path("out/scripted-model_mme_direct").glob("*.txt"):
        for line in file.read_text("utf-8").splitlines():
            name, _, answer, prediction = line.split("\t")
            assert prediction == "Yes of course"
            records.append(MMERecord(file.stem, name, answer, prediction))
    assert mme_scores(records).perception.value == 500  # every Yes right, no image both


def test_a_judge_is_asked_its_raw_text_is_kept_and_another_can_judge_again(
    capsys, miniatures, script
):
    script |= {"model": "It is a kite.", "strict": "[[0]]", "kind": "Fine. Rating: [[1]]"}
    common = ["eval", "vlsafe", "--log-dir", "logs"]
    status, out, _ = ecso(
        capsys, *common, "--data", miniatures / "vlsafe", "--limit", 3,
        "--model", "inspect:scripted/model", "--direct", "--judge", "scripted/strict",
    )  # fmt: skip
    assert status == 0 and "judged by scripted/strict" in out
    found = read_runs(Path("logs"))[0].samples[0].found
    assert (found["judge"], found["raw"], found["parse"]) == ("scripted/strict", "[[0]]", "exact")

    status, out, _ = ecso(capsys, *common, "--score-again", "--judge", "scripted/kind")
    assert status == 0 and re.search(r"harmless\s+100.0", out)
    assert ASKED == {"model": 3, "strict": 3, "kind": 3}
    assert read_runs(Path("logs"))[0].judge == "scripted/kind"
    assert len(list(Path("logs").glob("*.eval"))) == 2

    for name, content, says in (
        ("grader.txt", b"Grade.", "no entry named llm_binary_strict"),
        ("broken.jsonl", b"\xff", "cannot be read as UTF-8"),
    ):
        Path(name).write_bytes(content)
        judge = ["--judge", "scripted/kind", "--judge-prompts", name]
        status, _, err = ecso(capsys, *common, "--score-again", *judge)
        assert status == 2 and f"{name}: {says}" in err and len(err.splitlines()) == 1
    assert ASKED["kind"] == 3


def test_unreadable_verdicts_and_empty_answers_are_reported(capsys, miniatures, script):
    script |= {"model": "", "judge": "hard to say"}
    status, out, _ = ecso(
        capsys, "eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2,
        "--model", "inspect:scripted/model", "--direct", "--judge", "scripted/judge",
    )  # fmt: skip
    assert status == 0 and re.search(r"harmless\s+0.0", out)
    assert "2 verdicts unreadable, counted as harmful" in out and "2 empty answers" in out


def test_resume_asks_only_what_is_missing(capsys, miniatures, script):
    script["model"] = "fail once"
    command = [
        "eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 4, "--log-dir", "logs",
        "--model", "inspect:scripted/model", "--direct", "--batch-size", 1,
    ]  # fmt: skip
    status, out, _ = ecso(capsys, *command)
    assert status == 1 and "1 of 4 samples failed" in out and "--resume" in out
    assert ASKED["model"] == 4
    status, out, _ = ecso(capsys, *command, "--resume")
    assert status == 0 and ASKED["model"] == 5
    status, _, _ = ecso(capsys, *command, "--resume")
    assert status == 0 and ASKED["model"] == 5


def test_presets_stand_side_by_side_with_the_published_utility_scripts(capsys, miniatures):
    status, out, _ = ecso(
        capsys, "eval", "mmvet", "--data", miniatures / "mmvet", "--limit", 1, "--log-dir", "logs",
        "--preset", "reference", "utility-scripts", "reference",
    )  # fmt: skip
    assert status == 0 and len(list(Path("logs").glob("*.eval"))) == 2
    runs = {run.variant: run for run in read_runs(Path("logs"))}
    assert set(runs) == {"reference", "utility-scripts"}
    assert runs["utility-scripts"].provider_arguments["image_in_safe_step"] is True
    assert "image_in_safe_step" not in runs["reference"].provider_arguments


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["eval", "mme"], "--data is missing"),
        (["eval", "mme", "--data", "nowhere"], "nowhere: no such folder"),
        (["eval", "mme", "--data", "hub:a/b@main"], "40 hexadecimal digits"),
        (["eval", "mme", "--data", ".", "--kind", "SD"], "--kind is for mm_safetybench"),
        (["eval", "mme", "--data", ".", "--judge", "a/b"], "--judge is for vlsafe"),
        (["eval", "mme", "--data", ".", "--judge-prompts", "x"], "--judge-prompts is for vlsafe"),
        (["eval", "mme", "--data", ".", "--judge", "rules"], "none of the 14 categories"),
        (["eval", "mme", "--data", "."], "none of the 14 categories"),
        (["eval", "mme", "--data", ".", "--limit", "0"], "--limit is 0"),
        (["eval", "mme", "--data", ".", "--direct", "--compare"], "choose one"),
        (["eval", "vlsafe", "--data", ".", "--judge-prompts", "no"], "no: no such file"),
        (["eval", "vlsafe", "--score-again"], "eval-logs: no such folder"),
        (["eval", "mmlu", "--data", "."], "invalid choice: 'mmlu'"),
        (["report", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["report", ".", "--out", "x"], "no log of"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_status_2(capsys, arguments, says):
    status, out, err = ecso(capsys, *arguments)
    assert status == 2
    assert len(err.strip().splitlines()) == 1 and says in err, err
    assert "Traceback" not in out + err


def test_inspect_finds_the_tasks_and_the_provider_by_name(miniatures, tmp_path):
    command = [
        str(Path(sys.executable).parent / "inspect"), "eval", "modeling_ecso/mmvet",
        "--model", "ecso/tiny", "-M", "variant=protected", "-M", "preset=hardened",
        "-T", f"data={miniatures / 'mmvet'}", "-T", "limit=1", "--max-connections", "8",
        "--display", "plain", "--log-dir", str(tmp_path / "logs"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    run = read_runs(tmp_path / "logs")[0]
    assert (run.model, run.variant, len(run.samples)) == ("ecso/tiny", "hardened", 1)


def test_a_judge_by_model_without_a_model_is_refused(miniatures, tmp_path, script):
    from inspect_ai import eval

    script["model"] = "a kite"
    log = eval(
        "modeling_ecso/vlsafe",
        model="scripted/model",
        task_args={"data": str(miniatures / "vlsafe"), "judge": "model", "limit": 1},
        log_dir=str(tmp_path / "logs"),
        display="none",
        ctl_server=False,
    )[0]
    assert log.status == "error" and ASKED["model"] == 1  # never its own judge
