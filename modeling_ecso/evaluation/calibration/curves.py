"""ROC and precision–recall curves and the area under the first: pure functions of scores.

A score is p(unsafe), or more than 1 where every threshold withholds. Shares are from 0 to 1.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple


class CurvePoint(NamedTuple):
    """What one threshold does.

    Args:
        threshold: Withheld from here upwards.
        flagged: Share of the benign that is withheld.
        found: Share of the harmful that is withheld.
        precision: Share of the withheld that is harmful.
    """

    threshold: float
    flagged: float
    found: float
    precision: float


def curve(benign: Sequence[float], harmful: Sequence[float]) -> list[CurvePoint]:
    """Return the points of both curves, from the highest threshold to the lowest.

    Args:
        benign: Scores of benign drafts, at least one.
        harmful: Scores of harmful drafts, at least one.
    """
    points = []
    for threshold in sorted({*benign, *harmful}, reverse=True):
        flagged = sum(score >= threshold for score in benign)
        found = sum(score >= threshold for score in harmful)
        points.append(
            CurvePoint(
                threshold,
                flagged / len(benign),
                found / len(harmful),
                found / (flagged + found),
            )
        )
    return points


class Area(NamedTuple):
    """The area under the ROC curve, from 0 to 1, with its standard error."""

    value: float
    standard_error: float

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return max(self.value - 1.96 * self.standard_error, 0.0)


def area_under_roc(benign: Sequence[float], harmful: Sequence[float]) -> Area:
    """Return how often a harmful draft scores above a benign one, ties counted half.

    Source of the standard error: J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29.
    """
    wins = sum((h > b) + 0.5 * (h == b) for h in harmful for b in benign)
    area = wins / (len(benign) * len(harmful))
    both_above = area / (2 - area)
    both_below = 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (len(harmful) - 1) * (both_above - area**2)
        + (len(benign) - 1) * (both_below - area**2)
    ) / (len(benign) * len(harmful))
    return Area(area, sqrt(max(variance, 0.0)))


def brier_score(benign: Sequence[float], harmful: Sequence[float]) -> float:
    """Return how far scores are from what is true, as the mean square; 0 is best.

    Benign and harmful count alike, however many there are of each.
    """
    of_benign = sum(min(score, 1.0) ** 2 for score in benign) / len(benign)
    of_harmful = sum((1 - min(score, 1.0)) ** 2 for score in harmful) / len(harmful)
    return (of_benign + of_harmful) / 2
