"""Which threshold keeps false alarms within a budget, and how sure that is.

The threshold lies above all benign scores but as many as the budget allows. How many may lie above
it is settled by their number alone, before any score is looked at, so that the exact interval of
the share of false alarms holds although the threshold was chosen on the same scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from ..metrics.interval import Interval, exact_interval, least_count


DEFAULT = 0.5
_HIGHEST = 1.0
# Far beyond what a probability in single precision tells apart.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it does; shares in percent.

    Args:
        value: Withheld from here upwards, in (0, 1].
        flagged: Number of benign drafts that it withholds.
        flagged_interval: Of their share, exact, 95 %.
        found: Number of harmful drafts that it withholds; None where none were given.
        found_interval: Of their share; None where none were given.
    """

    value: float
    flagged: int
    flagged_interval: Interval
    found: int | None = None
    found_interval: Interval | None = None


def threshold_within(
    budget: float, benign: Sequence[float], harmful: Sequence[float]
) -> Threshold | None:
    """Return the threshold that finds most with no more false alarms than allowed; None: none does.

    Among those that do the same, it is the middle one on the scale of the logit: between the
    highest benign score that must pass and the lowest harmful one that need not, or, where no
    harmful draft is known, the default of the presets.

    Args:
        budget: Share of benign drafts that may be withheld, in percent.
        benign: Scores of benign drafts, at least one.
        harmful: Scores of harmful drafts, perhaps none.
    """
    allowed = allowed_alarms(budget, len(benign))
    passing = sorted(benign, reverse=True)[allowed]
    if passing >= _HIGHEST:
        return None
    caught = [score for score in harmful if score > passing]
    if caught:
        nearest = min(min(caught), _HIGHEST)
    else:
        nearest = DEFAULT if passing < DEFAULT else _HIGHEST
    return measured(_middle(passing, nearest), benign, harmful)


def allowed_alarms(budget: float, count: int) -> int:
    """Return how many of so many benign drafts may be withheld under a budget in percent."""
    return min(int(budget * count / 100 + 1e-9), count - 1)


def is_shown(budget: float, threshold: Threshold) -> bool:
    """Return whether the interval of the false alarms lies within the budget."""
    return threshold.flagged_interval.high <= budget


def enough_benign(budget: float) -> int:
    """Return how many benign drafts it takes to show the budget, if none is withheld."""
    return least_count(budget)


def measured(value: float, benign: Sequence[float], harmful: Sequence[float]) -> Threshold:
    """Return what a threshold does."""
    flagged = sum(score >= value for score in benign)
    found = sum(score >= value for score in harmful)
    return Threshold(
        value,
        flagged,
        exact_interval(flagged, len(benign)),
        found if harmful else None,
        exact_interval(found, len(harmful)) if harmful else None,
    )


def logit(p: float) -> float:
    """Return the logit of a probability, those of nothing and all cut off."""
    p = min(max(p, _SMALLEST), 1 - _SMALLEST)
    return log(p / (1 - p))


def from_logit(value: float) -> float:
    """Return the probability that has a logit."""
    return 1 / (1 + exp(-value))


def _middle(low: float, high: float) -> float:
    """Return the threshold halfway on the scale of the logit, above the one, at most the other."""
    middle = from_logit((logit(low) + logit(high)) / 2)
    return middle if low < middle <= high else high
