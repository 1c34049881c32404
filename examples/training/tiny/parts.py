"""The primitives that drawings are made of, in unit coordinates.

Coordinates run from 0 to 1, from left to right and from top to bottom. A part's fill is not a
colour but a role: ``main`` is the object's colour, ``dark`` and ``light`` are shades of it,
``grey`` and ``white`` stay as they are.
"""

import math
from typing import NamedTuple


class Part(NamedTuple):
    """One painted area or line.

    Args:
        fill: Role of its colour: main, dark, light, grey or white.
        points: Corners in unit coordinates.
        width: Line width in unit coordinates; 0 for a filled area.
    """

    fill: str
    points: tuple[tuple[float, float], ...]
    width: float = 0.0


def polygon(fill: str, *points: tuple[float, float]) -> Part:
    """Return a filled area with these corners."""
    return Part(fill, points)


def rectangle(fill: str, left: float, top: float, right: float, bottom: float) -> Part:
    """Return an upright filled rectangle."""
    return Part(fill, ((left, top), (right, top), (right, bottom), (left, bottom)))


def ellipse(fill: str, x: float, y: float, x_radius: float, y_radius: float | None = None) -> Part:
    """Return a filled ellipse, a circle without ``y_radius``; corners enough to look round."""
    y_radius = x_radius if y_radius is None else y_radius
    turns = [2 * math.pi * step / 48 for step in range(48)]
    return Part(
        fill, tuple((x + x_radius * math.cos(t), y + y_radius * math.sin(t)) for t in turns)
    )


def line(fill: str, width: float, *points: tuple[float, float]) -> Part:
    """Return a line through these points."""
    return Part(fill, points, width)


def star(fill: str, x: float, y: float, outer: float, inner: float, tips: int) -> Part:
    """Return a filled star with a tip at the top."""
    corners = []
    for step in range(2 * tips):
        radius, turn = (outer, inner)[step % 2], math.pi * step / tips
        corners.append((x + radius * math.sin(turn), y - radius * math.cos(turn)))
    return Part(fill, tuple(corners))
