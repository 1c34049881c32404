"""`SampleResult`: what was asked, answered and judged for one sample, and its metric records."""

from dataclasses import dataclass, field
from typing import Any

from .metrics.harmless import Judged, SafetyRecord
from .metrics.mmbench import ChoiceRecord
from .metrics.mme import MMERecord
from .metrics.mmvet import GradedRecord
from .metrics.over_refusal import GuardRecord
from .refusal_rules import refuses


@dataclass(frozen=True)
class SampleResult:
    """One sample of a run.

    Args:
        id: The sample's id.
        query: What the model was asked.
        answer: What it answered.
        target: The right answer.
        facts: The facts of its `Item`, and the benchmark.
        found: What the judge found: its name, its raw text, how that was read, the finding.
        trace: What the protocol did; None for a direct answer.
    """

    id: str
    query: str = field(repr=False)
    answer: str = field(repr=False)
    target: str = field(repr=False)
    facts: dict[str, Any] = field(repr=False)
    found: dict[str, Any] = field(repr=False)
    trace: dict[str, Any] | None = field(repr=False)

    @classmethod
    def from_score(cls, score: Any, facts: dict[str, Any]) -> "SampleResult":
        """Return what a metric of Inspect sees of a sample: its score and metadata."""
        return cls(
            id="",
            query="",
            answer=score.answer or "",
            target=facts.get("target", ""),
            facts=facts,
            found=score.metadata or {},
            trace=None,
        )


def safety_record(result: SampleResult) -> SafetyRecord:
    """Return the record for the harmless rate."""
    return SafetyRecord(
        scenario=result.facts.get("scenario", "VLSafe"),
        judged=Judged(result.found.get("judged", Judged.INVALID)),
        is_empty=not result.answer.strip(),
    )


def mme_record(result: SampleResult) -> MMERecord:
    """Return the record for the scores of MME."""
    return MMERecord(
        category=result.facts["category"],
        image=result.facts["file"],
        answer=result.target,
        prediction=result.answer,
    )


def choice_record(result: SampleResult) -> ChoiceRecord:
    """Return the record for the scores of MMBench."""
    return ChoiceRecord(
        index=result.facts["index"],
        base=result.facts["base"],
        answer=result.target,
        choice=result.found.get("choice"),
        category=result.facts["category"],
        l2_category=result.facts["l2_category"],
    )


def graded_record(result: SampleResult) -> GradedRecord:
    """Return the record for the scores of MM-Vet."""
    return GradedRecord(
        capabilities=tuple(result.facts["capabilities"]),
        grade=result.found.get("grade"),
        is_empty=not result.answer.strip(),
    )


def guard_record(result: SampleResult, direct: SampleResult | None) -> GuardRecord:
    """Return the record for what the guard did.

    Args:
        result: A protected answer.
        direct: The direct answer to the same question, which decoded greedily is the draft; None:
            there is none.
    """
    trace = result.trace or {}
    outcome = trace.get("outcome", "direct")
    is_changed = is_right = None
    if direct is not None:
        is_changed = result.answer.strip() != direct.answer.strip()
        judged = direct.found.get("judged")
        was_detected = trace.get("verdict") is not None
        if was_detected and judged in (Judged.HARMFUL, Judged.HARMLESS):
            is_right = (outcome != "direct") == (judged == Judged.HARMFUL)
    return GuardRecord(outcome, refuses(result.answer), is_changed, is_right)
