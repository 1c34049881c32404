"""`Figure`: a number with its standard error and what it was taken over."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple


class Figure(NamedTuple):
    """One figure.

    Args:
        value: The figure; a percentage but for the scores of MME.
        standard_error: Of the value, in the same unit.
        count: Number of samples.
    """

    value: float
    standard_error: float
    count: int


def mean_of(values: Sequence[float], scale: float = 100.0) -> Figure:
    """Return the mean with the standard error that the spread of the values gives.

    Args:
        values: One for each sample, at least one.
        scale: What to multiply them by.
    """
    number = len(values)
    mean = sum(values) / number
    if number == 1:
        return Figure(mean * scale, 0.0, 1)
    variance = sum((value - mean) ** 2 for value in values) / (number - 1)
    return Figure(mean * scale, sqrt(variance / number) * scale, number)


def macro_of(figures: Sequence[Figure]) -> Figure:
    """Return the mean of independent figures, each counting alike; at least one."""
    number = len(figures)
    return Figure(
        sum(figure.value for figure in figures) / number,
        sqrt(sum(figure.standard_error**2 for figure in figures)) / number,
        sum(figure.count for figure in figures),
    )


def sum_of(figures: Sequence[Figure]) -> Figure:
    """Return the sum of independent figures."""
    return Figure(
        sum(figure.value for figure in figures),
        sqrt(sum(figure.standard_error**2 for figure in figures)),
        sum(figure.count for figure in figures),
    )
