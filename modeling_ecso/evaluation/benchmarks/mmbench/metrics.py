"""MMBench: vanilla and circular accuracy, over all and by category.

Vanilla is the accuracy on the questions as they stand; circular counts a question as right only if
it is answered right with its options in every rotation.

Source: vlmeval/dataset/utils/multiple_choice.py in github.com/open-compass/VLMEvalKit at e8e78f0.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...benchmark import RunFigure
from ...eval_run import EvalRun
from ...metrics.figure import Figure, mean_of
from ...samples import SampleResult
from .reader import OFFICIAL


NO_MATCH = "Z"


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


def scores_of(samples: Iterable[SampleResult]) -> MMBenchScores:
    """Return the scores of judged samples."""
    return mmbench_scores(
        ChoiceRecord(
            index=sample.facts["index"],
            base=sample.facts["base"],
            answer=sample.target,
            choice=sample.found.get("choice"),
            category=sample.facts["category"],
            l2_category=sample.facts["l2_category"],
        )
        for sample in samples
    )


def figures(run: EvalRun) -> list[RunFigure]:
    """Return the figures of a run; none of a test split, whose answers only the server knows."""
    if not any(sample.target for sample in run.samples):
        return []
    scores = scores_of(run.samples)
    language = "" if run.kind == "en" else f" {run.kind}"
    is_official = {"rows": len(run.samples)} in OFFICIAL
    found = [
        RunFigure(f"vanilla{language}", scores.vanilla, True, is_official=is_official),
        RunFigure(f"circular{language}", scores.circular, True, is_official=is_official),
    ]
    found += [
        RunFigure(f"circular{language}, {category}", figure)
        for category, figure in scores.circular_by.items()
    ]
    found += [
        RunFigure(f"vanilla{language}, {category}", figure)
        for category, figure in scores.vanilla_by.items()
    ]
    return found
