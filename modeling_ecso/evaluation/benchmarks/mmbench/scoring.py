"""MMBench: the letter that an answer names.

A letter is read from the answer by rule, else by the text of an option. Where both fail, the
official scorer asks a language model and, when that fails too, draws a letter at random; here a
judge may be asked, and nothing is drawn: what cannot be matched is wrong.

Source: vlmeval/utils/matching_util.py in github.com/open-compass/VLMEvalKit at e8e78f0, policy
``exact_matching``.
"""

import re
from typing import Any, NamedTuple

from ...metrics.figure import Figure
from ...samples import SampleResult
from ...scoring import FIELDS_ARE_DATA, Finding, JudgePrompt, Judging, Parse, Scoring, marked
from .metrics import NO_MATCH, scores_of


_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_PUNCTUATION = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_ANSWER_IS = re.compile(r"(?:correct\s+)?answer\s+is\s+\**([ABCD])\**", re.IGNORECASE)
# The letter must be among the last words, lest the article "A" be taken for an option.
_LAST_WORDS = 4

_CHOICE = FIELDS_ARE_DATA + (
    "A question with options was answered in free words. Which option does the answer mean? Reply "
    "with the option's letter alone, or with Z if it means none of them or declines to answer.\n\n"
    f"{marked('question')}\n\n{marked('options')}\n\n{marked('answer')}\n\nLetter: "
)
_PROMPT = JudgePrompt("mmbench", _CHOICE)


class ReadLetter(NamedTuple):
    """A letter, None where none could be read, and how it was read."""

    choice: str | None
    parse: Parse


def read_choice(prediction: str, options: dict[str, str]) -> str | None:
    """Return the letter that an answer names; ``Z`` for a refusal; None: no rule applies.

    Args:
        prediction: What the model said.
        options: Letter to text.
    """
    return _letter(prediction, options) or _by_text(prediction, options)


def read_letter(reply: str, options: dict[str, str]) -> ReadLetter:
    """Read what a judge replied: the letter of an option, or Z for none of them."""
    letters = {*options, NO_MATCH}
    if reply.strip() in letters:
        return ReadLetter(reply.strip(), Parse.EXACT)
    bare = reply.strip(" \n\t().:*").upper()
    # Some say more than they were asked for; what they say is read as any answer is, but that the
    # last "answer is" decides, since an earlier one may be quoted.
    said = [letter.upper() for letter in _ANSWER_IS.findall(reply)]
    choice = bare if bare in letters else read_choice(reply, options)
    if bare not in letters and said and said[-1] in options:
        choice = said[-1]
    if choice is not None:
        return ReadLetter(choice, Parse.LENIENT)
    return ReadLetter(None, Parse.INVALID)


def _letter(prediction: str, options: dict[str, str]) -> str | None:
    if any(refusal in prediction for refusal in _REFUSALS):
        return NO_MATCH
    words = prediction.translate(_PUNCTUATION).split()
    named = [letter for letter in options if letter in words]
    if len(named) == 1 and words.index(named[0]) > len(words) - _LAST_WORDS - 1:
        return named[0]
    if not named and NO_MATCH in words:
        return NO_MATCH
    found = _ANSWER_IS.search(prediction)
    if found and found[1].upper() in options:
        return found[1].upper()
    return None


def _by_text(prediction: str, options: dict[str, str]) -> str | None:
    if len(prediction) > 2 * sum(map(len, options.values())):
        return None
    said = prediction.lower()
    named = [letter for letter, text in options.items() if text.lower() in said]
    return named[0] if len(named) == 1 else None


def _by_rule(answer: str, target: str, facts: dict[str, Any]) -> Finding:
    choice = read_choice(answer, _options(facts))
    return _finding(ReadLetter(choice, Parse.INVALID if choice is None else Parse.RULE), target)


def _finding(read: ReadLetter, target: str) -> Finding:
    return Finding(float(read.choice == target), read.parse, {"choice": read.choice})


def _prompt_name(facts: dict[str, Any]) -> str:
    return _PROMPT.name


def _fields(answer: str, target: str, facts: dict[str, Any]) -> dict[str, str]:
    listed = " ".join(f"{letter}. {text}" for letter, text in _options(facts).items())
    return {"question": facts["question"], "options": listed, "answer": answer}


def _read(reply: str, target: str, facts: dict[str, Any]) -> Finding:
    return _finding(read_letter(reply, _options(facts)), target)


def _options(facts: dict[str, Any]) -> dict[str, str]:
    return {letter: text for letter, text in facts["options"].items() if text}


def _totals(samples: list[SampleResult]) -> dict[str, Figure | float | None]:
    scores = scores_of(samples)
    return {
        "vanilla": scores.vanilla,
        "circular": scores.circular,
        "unmatched": float(scores.unmatched),
    }


SCORING = Scoring(
    name="option_choice",
    metric="mmbench_figures",
    rule="mmbench-rule",
    by_rule=_by_rule,
    totals=_totals,
    judging=Judging((_PROMPT,), _prompt_name, _fields, _read, asks_about_all=False),
)
