"""The state diagram as an SVG, and the same as a table; only the places are chosen by hand."""

from html import escape

from .transitions import RECHECK, Transition


WIDTH, HEIGHT = 980, 740

# Where each box stands: its middle. A state that is new to the machine has no place yet: an error.
_PLACES = {
    "direct": (400, 50),
    "detect": (400, 190),
    "caption": (400, 350),
    "safe": (400, 540),
    RECHECK: (400, 690),
    "answer: direct": (880, 50),
    "answer: safe": (880, 615),
    "answer: refusal": (100, 540),
}
# How far to the right a line swings out, where the straight one would run through a box.
_SWINGS = {
    ("direct", "caption"): 190,
    ("direct", "safe"): 390,
    ("detect", "safe"): 150,
    ("detect", "answer: refusal"): -60,
}
_SAID = {
    "answer: direct": "the draft",
    "answer: safe": "the safe answer",
    "answer: refusal": "the refusal",
}
_BOX_WIDTH, _BOX_HEIGHT, _LINE, _CHAR = 170, 40, 16, 6.6
# What swings out leaves and meets its boxes beside the straight lines.
_BESIDE = 12
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1a1a1a; text-anchor: middle; }
  .name { font-weight: 600; font-size: 14px; }
  .step { fill: #e8f0fe; stroke: #3b6fd4; } .end { fill: #eef7ee; stroke: #3d8b46; }
  path { fill: none; stroke: #555; } .label { fill: #fff; }
"""


def state_diagram(transitions: list[Transition]) -> str:
    """Return the diagram as SVG text: readable on light and dark pages, since it stands on white.

    Raises:
        KeyError: The machine has a state that has no place here yet.
    """
    ways: dict[tuple[str, str], list[str]] = {}
    # An unclear verdict goes the way of safe or unsafe; the table has it.
    for each in (each for each in transitions if each.reply != "unclear"):
        ways.setdefault((each.source, each.target), []).append(_label(each))
    drawn = [_way(source, target, labels) for (source, target), labels in ways.items()]
    names = dict.fromkeys(name for way in ways for name in way)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' aria-label="The states of the protocol">',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
            ' markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="#fff"/>',
            *(line for line, _ in drawn),
            *(label for _, label in drawn),
            *map(_box, names),
            "</svg>\n",
        ]
    )


def transition_table(transitions: list[Transition]) -> str:
    """Return all transitions as a Markdown table."""
    rows = [
        f"| {each.source} | {each.reply} | {', '.join(each.conditions)} | {each.target} |"
        for each in transitions
    ]
    return "\n".join(["| step | what came of it | where | then |", "|---|---|---|---|", *rows])


def _label(transition: Transition) -> str:
    return ", ".join((transition.reply, *transition.conditions))


def _box(name: str) -> str:
    x, y = _PLACES[name]
    kind = "end" if name in _SAID else "step"
    return (
        f'<rect class="{kind}" x="{x - _BOX_WIDTH / 2:g}" y="{y - _BOX_HEIGHT / 2:g}"'
        f' width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="{20 if kind == "end" else 6}"/>'
        f'<text class="name" x="{x}" y="{y + 5}">{escape(_SAID.get(name, name))}</text>'
    )


def _way(source: str, target: str, labels: list[str]) -> tuple[str, str]:
    """Return the line between two boxes, and what is written on it."""
    (x0, y0), (x3, y3) = _edge(source, target), _edge(target, source)
    swing = _SWINGS.get((source, target), 0)
    x1, x2 = x0 + swing, x3 + swing
    curve = f"M{x0:g} {y0:g}C{x1:g} {y0:g} {x2:g} {y3:g} {x3:g} {y3:g}"
    line = f"M{x0:g} {y0:g}L{x3:g} {y3:g}"
    path = f'<path marker-end="url(#tip)" d="{curve if swing else line}"/>'
    # The middle of the curve, and of the line.
    return path, _written((x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + y3) / 2, labels)


def _edge(name: str, other: str) -> tuple[float, float]:
    """Return where a line leaves a box on its way to another."""
    (x, y), (to_x, to_y) = _PLACES[name], _PLACES[other]
    swing = _SWINGS.get((name, other), _SWINGS.get((other, name), 0))
    if swing > 0:
        return x + _BOX_WIDTH / 2, y + (_BESIDE if to_y > y else -_BESIDE)
    if to_x != x:
        return x + (_BOX_WIDTH / 2 if to_x > x else -_BOX_WIDTH / 2), y
    return x, y + (_BOX_HEIGHT / 2 if to_y > y else -_BOX_HEIGHT / 2)


def _written(x: float, y: float, labels: list[str]) -> str:
    width = max(map(len, labels)) * _CHAR + 8
    height = _LINE * len(labels) + 4
    box = (
        f'<rect class="label" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}"'
        f' height="{height}" rx="4"/>'
    )
    first = y - height / 2 + _LINE - 2
    lines = [
        f'<text x="{x:g}" y="{first + _LINE * number:g}">{escape(label)}</text>'
        for number, label in enumerate(labels)
    ]
    return box + "".join(lines)
