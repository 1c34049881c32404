"""`SampleResult`: what was asked, answered and judged for one sample, and what the guard did."""

from dataclasses import dataclass, field
from typing import Any

from .metrics.harmless import Judged
from .metrics.over_refusal import GuardRecord
from .refusal_rules import refuses


# Beside a trace in a log: the settings want verdicts from log-probabilities, and there were none.
READ_AS_TEXT = "verdicts_read_as_text"


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
