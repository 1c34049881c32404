"""`Share`: hits out of a number of samples, with the exact interval of what they tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .interval import Interval, exact_interval


@dataclass(frozen=True)
class Share:
    """Hits out of a number of samples, at least one."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        """In percent."""
        return 100 * self.hits / self.count

    @property
    def interval(self) -> Interval:
        """Exact, 95 %, in percent."""
        return exact_interval(self.hits, self.count)

    def shown(self) -> str:
        """Return it as a sentence has it, with its interval."""
        return f"{self.value:.1f} % ({self.interval.shown()})"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        low, high = self.interval
        plain = {"value": self.value, "low": low, "high": high}
        return {"hits": self.hits, "count": self.count} | {k: round(v, 2) for k, v in plain.items()}


def share_of(claims: Iterable[bool]) -> Share | None:
    """Return the share of claims that hold; None where there is none."""
    found = list(claims)
    return Share(sum(found), len(found)) if found else None
