"""MME: answers are read by rule alone, as the official calculator reads them."""

from typing import Any

from ...metrics.figure import Figure
from ...samples import SampleResult
from ...scoring import Finding, Parse, Scoring
from .metrics import read_yes_or_no, scores_of


def _by_rule(answer: str, target: str, facts: dict[str, Any]) -> Finding:
    read = read_yes_or_no(answer)
    return Finding(float(read == target.lower()), Parse.RULE, {"read": read})


def _totals(samples: list[SampleResult]) -> dict[str, Figure | float | None]:
    scores = scores_of(samples)
    return {
        "perception": scores.perception,
        "cognition": scores.cognition,
        "neither_yes_nor_no": float(scores.neither),
    }


SCORING = Scoring(
    name="yes_or_no",
    metric="mme_figures",
    rule="mme-rule",
    by_rule=_by_rule,
    totals=_totals,
)
