"""MM-Vet: total, by capability, and by the set of capabilities a question takes.

Source: mm-vet_evaluator.py in github.com/yuweihao/MM-Vet at acde843.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ...benchmark import RunFigure
from ...eval_run import EvalRun
from ...metrics.figure import Figure, mean_of
from ...samples import SampleResult
from .reader import OFFICIAL


@dataclass(frozen=True)
class GradedRecord:
    """One graded answer.

    Args:
        capabilities: What the question takes.
        grade: From 0 to 1; None where the grader's reply could not be read.
        is_empty: Whether the answer is empty.
    """

    capabilities: tuple[str, ...]
    grade: float | None
    is_empty: bool = False


@dataclass(frozen=True)
class MMVetScores:
    """The figures of one run.

    Args:
        total: Over all questions, unread grades counted as 0, as in the official scorer; None where
            there is none.
        total_valid_only: Without unread grades; None where there is no other.
        by_capability: Of each capability.
        by_combination: Of each set of capabilities, joined by ``_`` in alphabetical order.
        invalid: Number of grades that could not be read.
        empty: Number of empty answers.
    """

    total: Figure | None
    total_valid_only: Figure | None
    by_capability: dict[str, Figure]
    by_combination: dict[str, Figure]
    invalid: int
    empty: int


def mmvet_scores(records: Iterable[GradedRecord]) -> MMVetScores:
    """Return the scores of graded answers."""
    records = list(records)
    grades = [record.grade or 0.0 for record in records]
    valid = [record.grade for record in records if record.grade is not None]
    by_capability = defaultdict(list)
    by_combination = defaultdict(list)
    for record, grade in zip(records, grades, strict=True):
        capabilities = sorted(set(record.capabilities))
        by_combination["_".join(capabilities)].append(grade)
        for capability in capabilities:
            by_capability[capability].append(grade)
    return MMVetScores(
        total=mean_of(grades) if grades else None,
        total_valid_only=mean_of(valid) if valid else None,
        by_capability={name: mean_of(by_capability[name]) for name in sorted(by_capability)},
        by_combination={name: mean_of(by_combination[name]) for name in sorted(by_combination)},
        invalid=len(records) - len(valid),
        empty=sum(record.is_empty for record in records),
    )


def scores_of(samples: Iterable[SampleResult]) -> MMVetScores:
    """Return the scores of judged samples."""
    return mmvet_scores(
        GradedRecord(
            capabilities=tuple(sample.facts["capabilities"]),
            grade=sample.found.get("grade"),
            is_empty=not sample.answer.strip(),
        )
        for sample in samples
    )


def figures(run: EvalRun) -> list[RunFigure]:
    """Return the figures of a run."""
    scores = scores_of(run.samples)
    is_official = len(run.samples) == OFFICIAL["questions"]
    found = [RunFigure("total", scores.total, True, is_official=is_official)]
    if scores.invalid:
        found.append(RunFigure("total, valid grades only", scores.total_valid_only))
    found += [RunFigure(name, figure) for name, figure in scores.by_capability.items()]
    found += [
        RunFigure(f"exactly {name}", figure) for name, figure in scores.by_combination.items()
    ]
    return found
