"""`Item`: one question of a benchmark, whatever layout it came in, and how many there must be.

A set that calls itself nothing is taken for the official one, so its numbers are checked against
the published ones: half a download must not give a score. A set of another size (a miniature, a
newer release) says its own numbers in ``counts.json`` beside the data, and is held to those.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import DataError, parsed_json, text_in


COUNTS_FILE = "counts.json"


@dataclass(frozen=True, eq=False)
class Item:
    """One question.

    Args:
        id: Unique within the benchmark and image kind.
        query: The text put to the model.
        image: File or data URI, checked to be readable; None: text alone.
        target: The right answer, as the data have it; empty where there is none.
        unit: Items of one unit are scored together, such as the questions about one image.
        group: Scenario or category; a limited run takes units from all groups alike.
        facts: What metrics and exports need besides.
        further_images: More images behind the first, as an attack may split one.
        follow_ups: User turns that come after the first answer, each when the last is answered.
        slices: How often the model is asked to go on with the turn that it has begun.
        answer_tokens: Token limit of each answer; None: that of the benchmark.
    """

    id: str
    query: str = field(repr=False)
    image: str | None = field(repr=False)
    target: str = field(repr=False)
    unit: str
    group: str
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    further_images: tuple[str, ...] = field(default=(), repr=False)
    follow_ups: tuple[str, ...] = field(default=(), repr=False)
    slices: int = 0
    answer_tokens: int | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """All images."""
        return (*(() if self.image is None else (self.image,)), *self.further_images)

    @property
    def phrase(self) -> str:
        """What an image can say in print of what is asked for; the query, where none is named."""
        return str(self.facts.get("phrase") or self.query)


def limited(items: list[Item], units: int | None) -> list[Item]:
    """Return the items of that many units, spread over the groups, in their order.

    Args:
        items: All items.
        units: Number of units; None: all.

    Raises:
        DataError: The number is none from 1.
    """
    if units is None:
        return items
    if type(units) is not int or units < 1:
        raise DataError(f"limit is {units!r}; give a whole number from 1, or none for all")
    by_group: dict[str, list[str]] = defaultdict(list)
    for item in items:
        if item.unit not in by_group[item.group]:
            by_group[item.group].append(item.unit)
    ranked = sorted(
        (place, order, unit)
        for order, units_of_group in enumerate(by_group.values())
        for place, unit in enumerate(units_of_group)
    )
    kept = {unit for _, _, unit in ranked[:units]}
    return [item for item in items if item.unit in kept]


def check_counts(
    found: dict[str, int], official: Iterable[dict[str, int]], folder: Path | None, noun: str
) -> None:
    """Compare the numbers of a set with those it must have.

    Args:
        found: Name to number, of what was read.
        official: Numbers of the releases known; the set must be one of them.
        folder: Where ``counts.json`` may be; None: a Hub mirror, which has none.
        noun: What is counted, for the message.

    Raises:
        DataError: The numbers are neither official nor those of ``counts.json``.
    """
    own = folder / COUNTS_FILE if folder else None
    if own is not None and own.exists():
        expected = [_read_counts(own)]
        source = f"{own} says"
    else:
        expected = list(official)
        source = f"{folder or 'the mirror'}: the official set has"
    if any(found == {name: each.get(name, 0) for name in found} for each in expected):
        return
    closest = expected[0]
    name = next(name for name in found if found[name] != closest.get(name, 0))
    choices = " or ".join(str(each.get(name, 0)) for each in expected)
    raise DataError(
        f"{source} {choices} {noun} in {name!r}, found {found[name]}; get the data again, or, if "
        f"they are a set of your own, write its numbers to {COUNTS_FILE} beside the data"
    )


def _read_counts(file: Path) -> dict[str, int]:
    counts = parsed_json(text_in(file), str(file))
    if not isinstance(counts, dict) or not all(type(n) is int for n in counts.values()):
        raise DataError(f"{file}: write an object of names and whole numbers")
    return counts
