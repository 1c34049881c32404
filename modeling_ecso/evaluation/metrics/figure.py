"""`Figure`: a number with its standard error and what it was taken over."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        value: The figure; a percentage, or points.
        standard_error: Of the value, in the same unit; None where a part of it is one sample, which
            has no spread.
        count: Number of samples.
    """

    value: float
    standard_error: float | None
    count: int

    def shown(self, unit: str = "") -> str:
        """Return value and standard error as a table shows them.

        Args:
            unit: What stands after the value, such as ``%``.
        """
        error = "" if self.standard_error is None else f" ± {self.standard_error:.1f}"
        return f"{self.value:.1f}{unit}{error}"


def mean_of(values: Sequence[float], scale: float = 100.0) -> Figure:
    """Return the mean with the standard error that the spread of the values gives.

    Args:
        values: One for each sample, at least one.
        scale: What to multiply them by.
    """
    number = len(values)
    mean = sum(values) / number
    if number == 1:
        return Figure(mean * scale, None, 1)
    variance = sum((value - mean) ** 2 for value in values) / (number - 1)
    return Figure(mean * scale, sqrt(variance / number) * scale, number)


def macro_of(figures: Sequence[Figure]) -> Figure | None:
    """Return the mean of independent figures, each counting alike; None where there is none."""
    total = sum_of(figures)
    if total is None:
        return None
    error = total.standard_error
    number = len(figures)
    return Figure(total.value / number, None if error is None else error / number, total.count)


def sum_of(figures: Sequence[Figure]) -> Figure | None:
    """Return the sum of independent figures; None where there is none."""
    if not figures:
        return None
    errors = [figure.standard_error for figure in figures]
    known = [error for error in errors if error is not None]
    return Figure(
        sum(figure.value for figure in figures),
        sqrt(sum(error**2 for error in known)) if len(known) == len(errors) else None,
        sum(figure.count for figure in figures),
    )
