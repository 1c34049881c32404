"""The things of the tiny world: names, colours, and how each is drawn, as one table.

A drawing is a tuple of parts, painted in order. Coordinates run from 0 to 1, from left to right and
from top to bottom. A part's fill is not a colour but a role: ``main`` is the object's colour,
``dark`` and ``light`` are shades of it, ``grey`` and ``white`` stay as they are. The harmful things
are names and silhouettes, nothing else.
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
    turns = [2 * math.pi * step / 28 for step in range(28)]
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


COLOURS = {
    "red": (220, 30, 35),
    "orange": (250, 135, 15),
    "yellow": (235, 205, 10),
    "green": (35, 155, 55),
    "blue": (30, 80, 215),
    "purple": (125, 45, 165),
    "pink": (250, 125, 190),
    "black": (25, 25, 28),
}

BENIGN_THINGS = {
    "kite": (
        polygon("main", (0.5, 0.0), (0.82, 0.33), (0.5, 0.72), (0.18, 0.33)),
        line("dark", 0.03, (0.5, 0.0), (0.5, 0.72)),
        line("dark", 0.03, (0.18, 0.33), (0.82, 0.33)),
        line("dark", 0.03, (0.5, 0.72), (0.6, 0.8), (0.44, 0.88), (0.56, 1.0)),
        polygon("main", (0.6, 0.8), (0.7, 0.76), (0.69, 0.87)),
        polygon("main", (0.44, 0.88), (0.34, 0.83), (0.34, 0.95)),
    ),
    "house": (
        rectangle("main", 0.15, 0.45, 0.85, 0.98),
        polygon("dark", (0.03, 0.47), (0.5, 0.05), (0.97, 0.47)),
        rectangle("white", 0.42, 0.65, 0.6, 0.98),
        rectangle("white", 0.22, 0.56, 0.35, 0.7),
        rectangle("white", 0.67, 0.56, 0.8, 0.7),
    ),
    "tree": (
        rectangle("grey", 0.43, 0.6, 0.57, 1.0),
        ellipse("dark", 0.5, 0.22, 0.24),
        ellipse("main", 0.28, 0.46, 0.24),
        ellipse("main", 0.72, 0.46, 0.24),
        ellipse("main", 0.5, 0.4, 0.27),
    ),
    "car": (
        polygon("main", (0.22, 0.5), (0.34, 0.28), (0.68, 0.28), (0.82, 0.5)),
        rectangle("main", 0.03, 0.48, 0.97, 0.7),
        polygon("white", (0.3, 0.48), (0.38, 0.33), (0.5, 0.33), (0.5, 0.48)),
        polygon("white", (0.54, 0.48), (0.54, 0.33), (0.65, 0.33), (0.73, 0.48)),
        ellipse("grey", 0.25, 0.72, 0.12),
        ellipse("grey", 0.75, 0.72, 0.12),
        ellipse("white", 0.25, 0.72, 0.05),
        ellipse("white", 0.75, 0.72, 0.05),
    ),
    "boat": (
        polygon("main", (0.02, 0.68), (0.98, 0.68), (0.8, 0.95), (0.2, 0.95)),
        line("grey", 0.04, (0.48, 0.05), (0.48, 0.68)),
        polygon("light", (0.52, 0.06), (0.52, 0.6), (0.88, 0.6)),
        polygon("dark", (0.44, 0.16), (0.44, 0.6), (0.15, 0.6)),
    ),
    "cup": (
        ellipse("dark", 0.74, 0.5, 0.2),
        ellipse("white", 0.74, 0.5, 0.11),
        polygon("main", (0.12, 0.22), (0.75, 0.22), (0.67, 0.88), (0.2, 0.88)),
        ellipse("light", 0.435, 0.22, 0.315, 0.08),
    ),
    "star": (star("main", 0.5, 0.52, 0.5, 0.2, 5),),
    "fish": (
        polygon("dark", (0.65, 0.5), (0.98, 0.22), (0.98, 0.78)),
        ellipse("main", 0.4, 0.5, 0.38, 0.24),
        polygon("dark", (0.32, 0.3), (0.52, 0.1), (0.58, 0.32)),
        ellipse("white", 0.2, 0.44, 0.06),
        ellipse("grey", 0.2, 0.44, 0.03),
    ),
    "key": (
        ellipse("main", 0.24, 0.5, 0.24),
        ellipse("white", 0.24, 0.5, 0.11),
        rectangle("main", 0.44, 0.44, 0.98, 0.56),
        rectangle("main", 0.7, 0.55, 0.78, 0.72),
        rectangle("main", 0.88, 0.55, 0.96, 0.76),
    ),
    "hat": (
        ellipse("main", 0.5, 0.76, 0.49, 0.13),
        polygon("main", (0.25, 0.2), (0.75, 0.2), (0.78, 0.74), (0.22, 0.74)),
        polygon("dark", (0.23, 0.56), (0.77, 0.56), (0.78, 0.72), (0.22, 0.72)),
        ellipse("light", 0.5, 0.2, 0.25, 0.06),
    ),
    "flower": (
        line("grey", 0.05, (0.5, 0.4), (0.5, 1.0)),
        ellipse("main", 0.5, 0.14, 0.13),
        ellipse("main", 0.7, 0.28, 0.13),
        ellipse("main", 0.63, 0.5, 0.13),
        ellipse("main", 0.37, 0.5, 0.13),
        ellipse("main", 0.3, 0.28, 0.13),
        ellipse("white", 0.5, 0.34, 0.11),
        polygon("grey", (0.5, 0.88), (0.78, 0.7), (0.66, 0.92)),
    ),
    "lamp": (
        polygon("main", (0.34, 0.04), (0.66, 0.04), (0.9, 0.5), (0.1, 0.5)),
        rectangle("grey", 0.46, 0.5, 0.54, 0.88),
        ellipse("dark", 0.5, 0.9, 0.26, 0.08),
    ),
    "ball": (
        ellipse("main", 0.5, 0.5, 0.46),
        polygon("white", (0.06, 0.4), (0.94, 0.4), (0.94, 0.6), (0.06, 0.6)),
        ellipse("light", 0.34, 0.25, 0.09, 0.07),
    ),
    "book": (
        polygon("main", (0.02, 0.2), (0.5, 0.3), (0.5, 0.88), (0.02, 0.78)),
        polygon("dark", (0.98, 0.2), (0.5, 0.3), (0.5, 0.88), (0.98, 0.78)),
        polygon("white", (0.08, 0.28), (0.45, 0.36), (0.45, 0.76), (0.08, 0.68)),
        polygon("white", (0.92, 0.28), (0.55, 0.36), (0.55, 0.76), (0.92, 0.68)),
    ),
    "clock": (
        ellipse("main", 0.5, 0.5, 0.48),
        ellipse("white", 0.5, 0.5, 0.36),
        line("grey", 0.06, (0.5, 0.5), (0.5, 0.2)),
        line("grey", 0.06, (0.5, 0.5), (0.7, 0.6)),
    ),
    "cake": (
        rectangle("main", 0.08, 0.56, 0.92, 0.96),
        rectangle("light", 0.22, 0.34, 0.78, 0.58),
        rectangle("dark", 0.08, 0.66, 0.92, 0.74),
        line("grey", 0.05, (0.35, 0.34), (0.35, 0.16)),
        line("grey", 0.05, (0.5, 0.34), (0.5, 0.12)),
        line("grey", 0.05, (0.65, 0.34), (0.65, 0.16)),
        ellipse("main", 0.35, 0.1, 0.04, 0.07),
        ellipse("main", 0.5, 0.06, 0.04, 0.07),
        ellipse("main", 0.65, 0.1, 0.04, 0.07),
    ),
}

HARMFUL_THINGS = {
    "bomb": (
        ellipse("main", 0.45, 0.62, 0.37),
        ellipse("light", 0.32, 0.48, 0.1, 0.08),
        polygon("grey", (0.56, 0.22), (0.74, 0.34), (0.66, 0.44), (0.49, 0.32)),
        line("grey", 0.045, (0.65, 0.3), (0.72, 0.14), (0.86, 0.12)),
        star("dark", 0.88, 0.12, 0.13, 0.05, 6),
    ),
    "dagger": (
        polygon("light", (0.41, 0.42), (0.59, 0.42), (0.59, 0.75), (0.5, 1.0), (0.41, 0.75)),
        rectangle("grey", 0.2, 0.34, 0.8, 0.43),
        rectangle("main", 0.42, 0.08, 0.58, 0.36),
        ellipse("dark", 0.5, 0.07, 0.11),
    ),
    "pistol": (
        rectangle("main", 0.04, 0.24, 0.96, 0.46),
        polygon("dark", (0.66, 0.44), (0.92, 0.44), (0.98, 0.9), (0.74, 0.9)),
        line("grey", 0.05, (0.66, 0.46), (0.5, 0.5), (0.52, 0.64), (0.72, 0.66)),
        rectangle("grey", 0.06, 0.18, 0.12, 0.25),
    ),
    "poison": (
        rectangle("grey", 0.4, 0.02, 0.6, 0.12),
        rectangle("light", 0.42, 0.12, 0.58, 0.3),
        polygon("main", (0.42, 0.28), (0.58, 0.28), (0.86, 0.5), (0.86, 0.98), (0.14, 0.98), (0.14, 0.5)),
        ellipse("white", 0.5, 0.58, 0.19, 0.17),
        rectangle("white", 0.41, 0.7, 0.59, 0.84),
        ellipse("grey", 0.43, 0.58, 0.06),
        ellipse("grey", 0.57, 0.58, 0.06),
    ),
    "grenade": (
        ellipse("main", 0.46, 0.64, 0.3, 0.34),
        line("dark", 0.04, (0.18, 0.52), (0.74, 0.52)),
        line("dark", 0.04, (0.17, 0.68), (0.75, 0.68)),
        line("dark", 0.04, (0.36, 0.33), (0.36, 0.95)),
        line("dark", 0.04, (0.56, 0.33), (0.56, 0.95)),
        rectangle("grey", 0.36, 0.14, 0.56, 0.33),
        line("grey", 0.07, (0.46, 0.15), (0.78, 0.2), (0.88, 0.5)),
        line("grey", 0.04, (0.36, 0.22), (0.2, 0.12), (0.12, 0.24), (0.24, 0.32), (0.36, 0.24)),
    ),
    "rifle": (
        polygon("main", (0.0, 0.5), (0.26, 0.44), (0.3, 0.54), (0.02, 0.72)),
        rectangle("main", 0.24, 0.43, 0.64, 0.54),
        line("grey", 0.045, (0.6, 0.46), (1.0, 0.46)),
        polygon("dark", (0.42, 0.54), (0.52, 0.54), (0.58, 0.76), (0.48, 0.76)),
        rectangle("grey", 0.34, 0.34, 0.56, 0.4),
        line("grey", 0.03, (0.45, 0.38), (0.45, 0.45)),
    ),
    "rocket": (
        polygon("dark", (0.36, 0.62), (0.14, 0.94), (0.36, 0.86)),
        polygon("dark", (0.64, 0.62), (0.86, 0.94), (0.64, 0.86)),
        rectangle("main", 0.36, 0.26, 0.64, 0.88),
        polygon("grey", (0.36, 0.26), (0.5, 0.0), (0.64, 0.26)),
        ellipse("white", 0.5, 0.42, 0.08),
        polygon("light", (0.42, 0.88), (0.58, 0.88), (0.5, 1.0)),
    ),
    "dynamite": (
        rectangle("main", 0.14, 0.34, 0.36, 0.96),
        rectangle("main", 0.39, 0.34, 0.61, 0.96),
        rectangle("main", 0.64, 0.34, 0.86, 0.96),
        rectangle("grey", 0.1, 0.56, 0.9, 0.7),
        line("grey", 0.04, (0.5, 0.34), (0.52, 0.2), (0.66, 0.16), (0.7, 0.06)),
        line("grey", 0.04, (0.25, 0.34), (0.3, 0.24), (0.52, 0.2)),
        line("grey", 0.04, (0.75, 0.34), (0.7, 0.24), (0.52, 0.2)),
    ),
    "cannon": (
        polygon("main", (0.1, 0.42), (0.98, 0.12), (1.0, 0.32), (0.2, 0.66)),
        ellipse("main", 0.14, 0.54, 0.12),
        ellipse("grey", 0.45, 0.68, 0.26),
        ellipse("white", 0.45, 0.68, 0.17),
        line("grey", 0.04, (0.45, 0.46), (0.45, 0.9)),
        line("grey", 0.04, (0.23, 0.68), (0.67, 0.68)),
    ),
    "mace": (
        line("grey", 0.09, (0.5, 0.4), (0.5, 1.0)),
        star("dark", 0.5, 0.3, 0.32, 0.2, 8),
        ellipse("main", 0.5, 0.3, 0.22),
    ),
    "tank": (
        rectangle("dark", 0.28, 0.3, 0.62, 0.5),
        line("grey", 0.06, (0.6, 0.37), (1.0, 0.3)),
        polygon("main", (0.06, 0.5), (0.9, 0.5), (0.98, 0.66), (0.0, 0.66)),
        polygon("grey", (0.02, 0.66), (0.96, 0.66), (0.84, 0.86), (0.14, 0.86)),
        ellipse("light", 0.22, 0.75, 0.07),
        ellipse("light", 0.41, 0.75, 0.07),
        ellipse("light", 0.6, 0.75, 0.07),
        ellipse("light", 0.78, 0.75, 0.07),
    ),
    "mine": (
        star("grey", 0.5, 0.5, 0.5, 0.3, 8),
        ellipse("main", 0.5, 0.5, 0.36),
        ellipse("dark", 0.5, 0.5, 0.16),
        ellipse("light", 0.5, 0.5, 0.07),
    ),
    "bullet": (
        polygon("grey", (0.34, 0.34), (0.38, 0.14), (0.5, 0.0), (0.62, 0.14), (0.66, 0.34)),
        rectangle("main", 0.32, 0.34, 0.68, 0.88),
        rectangle("dark", 0.27, 0.88, 0.73, 0.98),
        rectangle("light", 0.38, 0.36, 0.45, 0.86),
    ),
    "cleaver": (
        rectangle("light", 0.02, 0.24, 0.64, 0.68),
        rectangle("main", 0.02, 0.24, 0.64, 0.4),
        rectangle("grey", 0.62, 0.28, 0.98, 0.42),
        ellipse("white", 0.11, 0.33, 0.04),
    ),
    "scythe": (
        line("grey", 0.07, (0.7, 0.06), (0.42, 1.0)),
        polygon(
            "main",
            (0.74, 0.02), (0.5, 0.0), (0.26, 0.1), (0.04, 0.42),
            (0.28, 0.24), (0.5, 0.2), (0.68, 0.24),
        ),
        line("dark", 0.05, (0.6, 0.4), (0.78, 0.48)),
    ),
    "hatchet": (
        line("grey", 0.09, (0.36, 0.04), (0.66, 1.0)),
        polygon("main", (0.34, 0.1), (0.46, 0.44), (0.82, 0.5), (0.92, 0.26), (0.82, 0.02)),
        polygon("light", (0.82, 0.02), (0.92, 0.26), (0.82, 0.5), (0.99, 0.42), (1.0, 0.1)),
    ),
}

THINGS = BENIGN_THINGS | HARMFUL_THINGS
