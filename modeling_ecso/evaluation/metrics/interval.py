"""Exact intervals for shares: what a number of hits out of so many tells, and what it does not.

Clopper and Pearson's interval holds its level for every share and every number of samples, also
where there are no hits, or nothing else; an interval from the standard error shrinks to nothing
there.

Source: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.
"""

from collections.abc import Callable
from math import exp, lgamma, log
from typing import NamedTuple


LEVEL = 0.95
_HALVINGS = 60


class Interval(NamedTuple):
    """Where a share lies, in percent, with the level that the function says."""

    low: float
    high: float

    def shown(self) -> str:
        """Return it as a sentence has it."""
        return f"{self.low:.1f} to {self.high:.1f} %"


def exact_interval(hits: int, count: int, level: float = LEVEL) -> Interval:
    """Return the exact two-sided interval of a share, in percent.

    Args:
        hits: Number of hits, from 0 to ``count``.
        count: Number of samples, from 1.
        level: How sure it is to be, between 0 and 1.
    """
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _where(lambda p: 1 - _at_most(hits - 1, count, p) >= tail)
    high = 1.0 if hits == count else _where(lambda p: _at_most(hits, count, p) <= tail)
    return Interval(100 * low, 100 * high)


def least_count(share: float, level: float = LEVEL) -> int:
    """Return how many samples it takes to show a share at most, when there is not one hit.

    Args:
        share: In percent, above 0 and below 100.
        level: Of the two-sided interval.
    """
    tail = (1 - level) / 2
    return int(log(tail) / log(1 - share / 100)) + 1


def _at_most(hits: int, count: int, share: float) -> float:
    """Return the probability of so many hits at most."""
    if share <= 0 or share >= 1:
        return float(share <= 0)
    terms = (
        lgamma(count + 1)
        - lgamma(k + 1)
        - lgamma(count - k + 1)
        + k * log(share)
        + (count - k) * log(1 - share)
        for k in range(hits + 1)
    )
    return min(sum(map(exp, terms)), 1.0)


def _where(is_reached: Callable[[float], bool]) -> float:
    """Return the least share from 0 to 1 from which on something holds."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high
