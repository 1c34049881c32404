"""Judging once more loses no verdict, and says how far two judges agree."""

import dataclasses
import json
from pathlib import Path

import pytest
from inspect_ai.scorer import Score

from modeling_ecso.evaluation.agreement import Agreement, agreements
from modeling_ecso.evaluation.side_by_side import read_runs
from modeling_ecso.evaluation.verdict_book import VerdictBook
from tests.evaluation.test_attacks import run_of, sample
from tests.evaluation.test_evaluation import ASKED, SCRIPT, ecso


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    ASKED.clear()
    SCRIPT.clear()
    SCRIPT.update(model="a kite", strict="[[0]]", kind="[[1]]")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)


def test_a_judge_that_fails_is_asked_about_the_rest_alone(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 4, "--compare"]
    ecso(capsys, *vlsafe, "--model", "inspect:scripted/model", "--log-dir", "logs")
    again = ["eval", "vlsafe", "--log-dir", "logs", "--score-again", "--judge", "scripted/strict"]
    SCRIPT["strict"] = "fail once"
    status, _, err = ecso(capsys, *again)
    assert status == 2 and "failed (RuntimeError, on 1 answers)" in err
    assert len(list(Path("logs").glob("*.eval"))) == 2  # no log of verdicts that are missing
    (book,) = Path("logs").glob("*.verdicts.jsonl")
    lines = book.read_text("utf-8").splitlines()
    assert len(lines) == 1 + 3 and json.loads(lines[0])["judge"] == "scripted/strict"
    # The last line was being written when the process ended.
    book.write_text("\n".join([*lines[:-1], lines[-1][:20]]), "utf-8")
    asked, SCRIPT["strict"] = ASKED["strict"], "[[0]]"
    status, out, _ = ecso(capsys, *again, "--judge-connections", 2)
    assert status == 0 and "2 verdicts of an earlier attempt are taken over" in out
    assert ASKED["strict"] - asked == 2 + 4 and not list(Path("logs").glob("*.jsonl"))
    runs = read_runs(Path("logs"))
    assert [(run.variant, run.judge) for run in runs] == [
        ("direct", "scripted/strict"),
        ("protected", "scripted/strict"),
    ]
    assert "refusal-rules-1" in out and "agreement of judges" in out
    ecso(capsys, "report", "logs", "--out", "report")
    assert "Do the judges agree" in Path("report/index.html").read_text("utf-8")


def test_a_verdict_behind_a_line_that_was_cut_off_is_kept(tmp_path):
    file = tmp_path / "log.verdicts.jsonl"
    for number in range(3):
        book = VerdictBook(file, "judge", None)
        assert book.taken_over == number
        book.keep(str(number), 1, Score(value=1))
        with file.open("a") as stream:
            stream.write('{"id": "cut o')


def test_verdicts_of_another_judge_are_not_taken_over(capsys, miniatures):
    vlsafe = ["eval", "vlsafe", "--data", miniatures / "vlsafe", "--limit", 2, "--direct"]
    ecso(capsys, *vlsafe, "--model", "inspect:scripted/model", "--log-dir", "logs")
    again = ["eval", "vlsafe", "--log-dir", "logs", "--score-again", "--judge", "scripted/strict"]
    SCRIPT["strict"] = "fail once"
    ecso(capsys, *again)
    (book,) = Path("logs").glob("*.verdicts.jsonl")
    text = book.read_text("utf-8").replace('"prompts": ""', '"prompts": "others"')
    book.write_text(text, "utf-8")
    ASKED.clear()
    SCRIPT["strict"] = "[[0]]"
    assert ecso(capsys, *again)[0] == 0 and ASKED["strict"] == 2


def judged_by(judge, found):
    samples = [sample("none", n, good) for n, good in enumerate(found)]
    run = dataclasses.replace(run_of("direct", samples), arguments={}, judge=judge)
    return run


def test_agreement_is_over_the_same_answers_and_free_of_chance():
    first = judged_by("a", [True] * 5 + [False] * 5)
    second = judged_by("b", [True] * 4 + [False] * 5 + [True])
    other = dataclasses.replace(second, samples=second.samples[:3], judge="c")
    (found,) = agreements([first, second, other])
    assert found == Agreement("vlsafe", ("a", "b"), 4, 1, 1, 4, 0)
    assert found.agreed.hits == 8 and found.kappa == pytest.approx(0.6)
    always = agreements([judged_by("a", [True] * 3), judged_by("b", [True] * 3)])
    assert always[0].kappa is None and always[0].to_json()["agreed"]["value"] == 100
