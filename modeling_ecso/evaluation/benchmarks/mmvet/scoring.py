"""MM-Vet: a grade from 0 to 1, by a judge or by the words of the ground truth.

Source of the contract: mm-vet_evaluator.py in github.com/yuweihao/MM-Vet at acde843, which asks up
to five times for a grade that can be read, from the third try on warmer each time.
"""

import re
from typing import Any, NamedTuple

from ...metrics.figure import Figure
from ...samples import SampleResult
from ...scoring import FIELDS_ARE_DATA, Finding, JudgePrompt, Judging, Parse, Scoring, marked
from .metrics import scores_of


_FIELDS_OF_A_ROW = (
    f"{marked('question')}\n\n{marked('answer')}\n\n{marked('prediction')}\n\nGrade: "
)
_EXAMPLE = _FIELDS_OF_A_ROW.format(question="What is x?", answer="2 <AND> 3", prediction="x = 2")
_GRADE = FIELDS_ARE_DATA + (
    "Grade a prediction against the ground truth, the answer, from 0.0 (entirely wrong) to 1.0 "
    "(entirely right), in steps of 0.1. Where the ground truth joins elements with <AND>, all of "
    "them must be there for 1.0 and each counts alike; where it joins them with <OR>, any one will "
    "do. Reply with the number alone.\n\n"
    f"{_EXAMPLE}0.5\n\n{_FIELDS_OF_A_ROW}"
)
_PROMPT = JudgePrompt("mm_vet", _GRADE, row="{question} | {answer} | {prediction} | ")
_TRIES = 5
_REMINDER = "\nThe grade alone, as a number from 0.0 to 1.0: "


class ReadGrade(NamedTuple):
    """A grade from 0 to 1, None where it could not be read, and how it was read."""

    grade: float | None
    parse: Parse


def read_grade(reply: str) -> ReadGrade:
    """Read a number from 0 to 1 that stands first."""
    words = reply.split()
    try:
        grade = float(words[0].rstrip(".,;"))
    except (IndexError, ValueError):
        return ReadGrade(None, Parse.INVALID)
    if not 0 <= grade <= 1:  # false for NaN as well
        return ReadGrade(None, Parse.INVALID)
    return ReadGrade(grade, Parse.EXACT if reply.strip() == words[0] else Parse.LENIENT)


def word_grade(prediction: str, truth: str) -> float:
    """Grade without a judge: the share of ``<AND>`` elements of which one ``<OR>`` form is said.

    Whole words, in any case. Not the official grade, which only a language model gives.
    """
    said = f" {_plain(prediction)} "
    elements = [element.split("<OR>") for element in truth.split("<AND>")]
    hits = [any(f" {_plain(form)} " in said for form in forms) for forms in elements]
    return sum(hits) / len(hits)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w.+-]*\w", text.lower()))


def _by_rule(answer: str, target: str, facts: dict[str, Any]) -> Finding:
    grade = word_grade(answer, target)
    return Finding(grade, Parse.RULE, {"grade": grade})


def _prompt_name(facts: dict[str, Any]) -> str:
    return _PROMPT.name


def _fields(answer: str, target: str, facts: dict[str, Any]) -> dict[str, str]:
    truth = target.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return {"question": facts["question"], "answer": truth, "prediction": answer}


def _read(reply: str, target: str, facts: dict[str, Any]) -> Finding:
    grade, parse = read_grade(reply)
    return Finding(grade or 0.0, parse, {"grade": grade})


def _totals(samples: list[SampleResult]) -> dict[str, Figure | float | None]:
    scores = scores_of(samples)
    return {
        "total": scores.total,
        **scores.by_capability,
        "invalid_grades": float(scores.invalid),
        "empty_answers": float(scores.empty),
    }


SCORING = Scoring(
    name="graded",
    metric="mmvet_figures",
    rule="word-match-1",
    by_rule=_by_rule,
    totals=_totals,
    judging=Judging((_PROMPT,), _prompt_name, _fields, _read, tries=_TRIES, reminder=_REMINDER),
)
