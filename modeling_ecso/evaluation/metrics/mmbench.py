"""MMBench: vanilla and circular accuracy, over all and by category.

Vanilla is the accuracy on the questions as they stand; circular counts a question as right only if
it is answered right with its options in every rotation.

A letter is read from the answer by rule, else by the text of an option. Where both fail, the
official scorer asks a language model and, when that fails too, draws a letter at random; here a
judge may be asked, and nothing is drawn: what cannot be matched is wrong.

Source: vlmeval/utils/matching_util.py and vlmeval/dataset/utils/multiple_choice.py in
github.com/open-compass/VLMEvalKit at e8e78f0, policy ``exact_matching``.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .figure import Figure, mean_of


NO_MATCH = "Z"

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


@dataclass(frozen=True)
class ChoiceRecord:
    """One question in one rotation.

    Args:
        index: Index of the row.
        base: Index of the question as it stands.
        answer: The right letter.
        choice: The letter read from the answer, ``Z`` where it names none, None where none could
            be read.
        category: One of the twenty.
        l2_category: One of the six.
    """

    index: int
    base: int
    answer: str
    choice: str | None
    category: str
    l2_category: str


@dataclass(frozen=True)
class MMBenchScores:
    """The figures of one run.

    Args:
        vanilla: Over questions as they stand; None where there is none.
        circular: Over questions, right in every rotation; None where there is none.
        vanilla_by: Vanilla of each category of both levels.
        circular_by: Circular of each category of both levels.
        unmatched: Number of answers in which no option was found.
    """

    vanilla: Figure | None
    circular: Figure | None
    vanilla_by: dict[str, Figure]
    circular_by: dict[str, Figure]
    unmatched: int


def read_choice(prediction: str, options: dict[str, str]) -> str | None:
    """Return the letter that an answer names; ``Z`` for a refusal; None: no rule applies.

    Args:
        prediction: What the model said.
        options: Letter to text.
    """
    return _letter(prediction, options) or _by_text(prediction, options)


def mmbench_scores(records: Iterable[ChoiceRecord]) -> MMBenchScores:
    """Return the scores of questions in their rotations."""
    records = list(records)
    rotations: dict[int, list[ChoiceRecord]] = defaultdict(list)
    for record in records:
        rotations[record.base].append(record)
    questions = [record for record in records if record.index == record.base]

    def is_right(question: ChoiceRecord) -> bool:
        return question.choice == question.answer

    def is_right_all_round(question: ChoiceRecord) -> bool:
        return all(is_right(rotation) for rotation in rotations[question.base])

    return MMBenchScores(
        vanilla=_accuracy(questions, is_right) if questions else None,
        circular=_accuracy(questions, is_right_all_round) if questions else None,
        vanilla_by=_by_category(questions, is_right),
        circular_by=_by_category(questions, is_right_all_round),
        unmatched=sum(record.choice in (None, NO_MATCH) for record in records),
    )


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


def _accuracy(questions: list[ChoiceRecord], is_right: Callable[[ChoiceRecord], bool]) -> Figure:
    return mean_of([float(is_right(question)) for question in questions])


def _by_category(
    questions: list[ChoiceRecord], is_right: Callable[[ChoiceRecord], bool]
) -> dict[str, Figure]:
    groups = defaultdict(list)
    for question in questions:
        for name in {question.l2_category, question.category} - {""}:
            groups[name].append(question)
    return {name: _accuracy(groups[name], is_right) for name in sorted(groups)}
