"""Which logs are resumed, judged again and set side by side, and by which names."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, modelapi

from modeling_ecso.evaluation.files import DataError
from modeling_ecso.evaluation.logs import log_files, read_run
from modeling_ecso.evaluation.model_names import named_in_logs, typed_name
from modeling_ecso.evaluation.side_by_side import read_runs
from modeling_ecso.steps_ecso import Steps
from tests.evaluation.test_evaluation import ASKED, SCRIPT, ecso


SCRIPTED = ["--model", "inspect:scripted/model", "--log-dir", "logs"]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    ASKED.clear()
    SCRIPT.clear()
    SCRIPT.update(model="a kite", other="a tree", strict="[[0]]", kind="[[1]]")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def taken():
    """Return the newest runs that may stand side by side, and the lines on all others."""
    lines = []
    runs = read_runs(Path("logs"), on_left_out=lambda benchmark, line: lines.append(line))
    return runs, lines


def failing(query):
    """Return a detect step that fails for whoever asks this."""
    real = Steps.ask

    def ask(self, asks):
        rows = self._call.request.rows
        if any(query in rows[index].conversation.query for index, _ in asks):
            raise RuntimeError("not now")
        return real(self, asks)

    return ask


def test_a_failed_step_fails_its_sample_alone_and_is_asked_again(capsys, miniatures, monkeypatch):
    rows = (miniatures / "vlsafe" / "harmlessness_examine.jsonl").read_text("utf-8").splitlines()
    command = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 3, "--log-dir", "logs"]
    with monkeypatch.context() as broken:
        broken.setattr(Steps, "ask", failing(json.loads(rows[0])["query"]))
        status, out, err = ecso(capsys, *command)
    assert status == 1 and not err and "1 of 3 samples failed" in out
    assert "harmless" not in out  # no figure of two beside one of three
    run = read_run(log_files(Path("logs"))[0])
    assert (run.asked, len(run.samples)) == (3, 2)
    status, out, _ = ecso(capsys, *command, "--resume")
    assert status == 0 and "harmless" in out and "failed" not in out


def test_where_every_step_fails_there_is_no_figure(capsys, miniatures, monkeypatch):
    monkeypatch.setattr(Steps, "ask", failing(""))
    command = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2, "--export", "out"]
    status, out, err = ecso(capsys, *command)
    assert status == 1 and not err and "2 of 2 samples failed" in out and "harmless" not in out


def test_runs_of_other_samples_do_not_stand_side_by_side(capsys, miniatures):
    mme = ["eval", "mme", "--data", miniatures / "mme", *SCRIPTED]
    ecso(capsys, *mme, "--compare", "--limit", 4)
    ecso(capsys, *mme, "--direct", "--limit", 1)
    runs, lines = taken()
    assert [(run.variant, len(run.samples)) for run in runs] == [("direct", 2)]
    assert len(lines) == 1 and lines[0].endswith("limit is 4, not 1")
    status, _, err = ecso(capsys, "report", "logs", "--out", "report")
    assert status == 0 and err == f"{lines[0]}\n" and lines[0].startswith("mme: left out 2")

    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 1, *SCRIPTED]
    assert lines[0] in ecso(capsys, *vlsafe, "--compare")[1]

    ecso(capsys, *mme, "--compare")
    ecso(capsys, *mme, "--direct", "--limit", 1)
    everything = [run for run in taken()[0] if run.benchmark == "mme"]
    assert [run.variant for run in everything] == ["direct", "protected"]
    assert not everything[0].is_limited and len({len(run.samples) for run in everything}) == 1


def test_runs_judged_otherwise_do_not_stand_side_by_side(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2, *SCRIPTED]
    ecso(capsys, *vlsafe, "--direct", "--judge", "scripted/strict")
    ecso(capsys, *vlsafe)
    runs, lines = taken()
    assert [run.variant for run in runs] == ["protected"]
    assert lines[0].endswith("judge is scripted/strict, not refusal-rules-1")


def test_runs_with_other_generation_settings_do_not_stand_side_by_side(miniatures):
    from inspect_ai import eval

    for settings in ({"temperature": 0.0}, {"temperature": 1.5, "max_tokens": 3}):
        eval(
            "modeling_ecso/mmvet", model="ecso/tiny", task_args={"data": str(miniatures / "mmvet")},
            model_args={"variant": "direct"}, log_dir="logs", limit=2, display="none",
            ctl_server=False, **settings,
        )  # fmt: skip
    runs, lines = taken()
    assert [run.generation for run in runs] == [{"max_tokens": 3, "temperature": 1.5}]
    assert lines[0].endswith("max tokens is 128, not 3, temperature is 0.0, not 1.5")


def test_a_judge_that_fails_is_one_line_and_the_earlier_verdicts_stand(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2, *SCRIPTED]
    ecso(capsys, *vlsafe, "--direct")
    SCRIPT["strict"] = "fail once"
    again = ["eval", "vlsafe", "--log-dir", "logs", "--score-again", "--judge", "scripted/strict"]
    status, out, err = ecso(capsys, *again)
    assert status == 2 and len(err.splitlines()) == 1 and "Traceback" not in out + err
    assert (
        "the judge scripted/strict failed (RuntimeError, on 1 answers)" in err
        and len(taken()[0]) == 1
    )


def test_mmbench_is_judged_alike_whether_or_not_the_judge_had_to_be_asked(capsys, miniatures):
    SCRIPT.update(model="A", other="no letter", kind="A")
    mmbench = ["eval", "mmbench", "--data", miniatures / "mmbench", "--limit", 1, *SCRIPTED]
    ecso(capsys, *mmbench, "--direct", "--judge", "scripted/kind")
    SCRIPT["model"] = "hard to say"
    ecso(capsys, *mmbench, "--judge", "scripted/kind")
    runs, lines = taken()
    assert [run.variant for run in runs] == ["direct", "protected"] and not lines
    assert len({run.judge for run in runs}) == 2
    again = ["eval", "mmbench", "--log-dir", "logs", "--score-again"]
    ecso(capsys, *again, "--judge", "scripted/strict")
    runs, lines = taken()
    assert len(runs) == 2 and lines[0].endswith("judge is scripted/kind, not scripted/strict")


def test_resume_gives_the_verdicts_of_the_judge_it_names(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2, *SCRIPTED]
    judged = [*vlsafe, "--direct", "--judge", "scripted/strict"]
    ecso(capsys, *judged)
    ecso(capsys, "eval", "vlsafe", "--log-dir", "logs", "--score-again", "--judge", "scripted/kind")
    status, out, _ = ecso(capsys, *judged, "--resume")
    assert status == 0 and "judged by scripted/strict" in out
    assert ASKED == {"model": 2, "strict": 2, "kind": 2}


def test_resume_goes_on_with_another_batch_size_and_says_where_nothing_is_begun(capsys, miniatures):
    SCRIPT["model"] = "fail once"
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", *SCRIPTED, "--direct"]
    status, out, _ = ecso(capsys, *vlsafe, "--limit", 4, "--batch-size", 1, "--resume")
    assert status == 1 and "nothing in logs to resume" in out
    status, out, _ = ecso(capsys, *vlsafe, "--limit", 4, "--batch-size", 2, "--resume")
    assert status == 0 and "nothing in logs" not in out and ASKED["model"] == 5
    tiny = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 1, "--log-dir", "tiny"]
    ecso(capsys, *tiny, "--batch-size", 1)
    assert ecso(capsys, *tiny, "--batch-size", 2, "--resume")[0] == 0
    assert len(log_files(Path("tiny"))) == 1


def test_what_inspect_limited_is_complete_and_has_the_name_of_its_variant(miniatures):
    from inspect_ai import eval

    arguments = {"preset": "reference", "image_in_safe_step": True}
    common = {"task_args": {"data": str(miniatures / "mmvet")}, "log_dir": "logs", "limit": 1}
    for epochs, settings in ((2, arguments), (1, {**arguments, "preset": "paper"})):
        eval(
            "modeling_ecso/mmvet", model="ecso/tiny", model_args=settings, epochs=epochs,
            display="none", ctl_server=False, **common,
        )  # fmt: skip
    runs = [read_run(file) for file in log_files(Path("logs"))]
    found = {run.variant: (run.is_complete, run.asked, run.is_limited) for run in runs}
    assert found == {"utility-scripts": (True, 2, True), "paper, image kept": (True, 1, True)}
    assert taken()[1][0].endswith("each sample was asked 2 times, not once")


def test_of_several_models_one_is_chosen_as_it_is_typed(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--log-dir", "logs"]
    options = ["--data", miniatures / "vlsafe", "--limit", 1, "--direct"]
    for model in ("inspect:scripted/model", "inspect:scripted/other", "tiny"):
        ecso(capsys, *vlsafe, *options, "--model", model)
    report = ["report", "logs", "--out", "report"]
    for command in ([*vlsafe, "--score-again"], report):
        status, _, err = ecso(capsys, *command)
        assert status == 2 and "tiny, inspect:scripted/model, inspect:scripted/other" in err
        status, _, err = ecso(capsys, *command, "--model", "nobody")
        assert status == 2 and "no complete log of --model nobody" in err and "tiny" in err
        assert len(err.splitlines()) == 1
        for model in ("inspect:scripted/other", "tiny"):
            assert ecso(capsys, *command, "--model", model)[0] == 0
    assert json.loads(Path("report/figures.json").read_text("utf-8"))["model"] == "ecso/tiny"


def test_every_name_of_a_model_leads_to_its_logs(tmp_path):
    (tmp_path / "llava").mkdir()
    folder = str((tmp_path / "llava").resolve())
    logged = ["ecso/tiny", f"ecso/{folder}", "ecso/llava-hf/llava", "openai/gpt-4o"]
    typed = ["tiny", "llava", "llava-hf/llava", "inspect:openai/gpt-4o"]
    assert [named_in_logs(name, logged) for name in typed] == logged
    assert [named_in_logs(typed_name(name), logged) for name in logged] == logged
    assert [named_in_logs(name, logged) for name in logged] == logged
    with pytest.raises(DataError, match="there are logs of .*, inspect:openai/gpt-4o"):
        named_in_logs("openai/gpt-4", logged)


@modelapi(name="flips")
class Flips(ModelAPI):
    """Says Yes to each question, and No when it is asked again."""

    asked: ClassVar[set[str]] = set()

    async def generate(self, input, tools, tool_choice, config):
        question = str([part.model_dump() for part in input[-1].content if part.type != "text"])
        question += input[-1].text
        says = "No" if question in self.asked else "Yes"
        self.asked.add(question)
        return ModelOutput.from_content(self.model_name, says)


def test_epochs_that_disagree_have_their_mean_on_the_screen_of_inspect(miniatures):
    from inspect_ai import eval

    log = eval(
        "modeling_ecso/mme", model="flips/model", task_args={"data": str(miniatures / "mme")},
        epochs=2, max_samples=1, log_dir="logs", display="none", ctl_server=False,
    )[0]  # fmt: skip
    assert log.status == "success" and len(log.samples) == 56
    figures = {name: metric.value for name, metric in log.results.scores[0].metrics.items()}
    # Yes throughout is right on every second question, and so is No: 50 points a category.
    assert figures == {"perception": 500, "cognition": 200, "neither_yes_nor_no": 0}
    runs, lines = taken()
    assert runs == [] and lines[0].endswith("each sample was asked 2 times, not once")
