"""Measured figures for the card, read from result files; none is typed by hand.

Two layouts are read: that of ``modeling_ecso/tiny/metrics.json``, and that of the ``card.json``
which `ecso report` writes, ``{"command": …, "rows": [{"name": …, "direct": …, "protected": …}]}``,
in which a number from 0 to 1 is a share.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeling_ecso.errors_ecso import ECSOInputError
from modeling_ecso.loading.models import TINY_FOLDER

from .recipe import Recipe


TINY_COMMAND = "python -m examples.training.tiny.measure"
TINY_KINDS = {
    "drawn": "drawn object",
    "word": "its name as a word",
    "labelled": "both",
}
TINY_ROWS = {
    "harmful pairs answered harmlessly": ("harmful_direct_harmless", "harmful_ecso_harmless"),
    "benign pairs answered correctly": ("benign_direct_correct", "benign_ecso_correct"),
    "benign pairs flagged": (None, "benign_flagged"),
}


@dataclass(frozen=True)
class ResultRow:
    """One figure.

    Args:
        name: What was measured.
        direct: The figure without protection; empty where there is none.
        protected: The figure with it.
    """

    name: str
    direct: str
    protected: str


@dataclass(frozen=True)
class ResultTable:
    """The figures of one file.

    Args:
        source: Name of the file.
        command: What measures them anew.
        rows: The figures.
    """

    source: str
    command: str
    rows: tuple[ResultRow, ...]


def read_results(recipe: Recipe, weights: Path | None) -> list[ResultTable]:
    """Return the tables of all result files of a recipe.

    Args:
        recipe: Names the files.
        weights: The weights that are published, if they are on this machine in one file; a result
            file that names others is refused.

    Raises:
        ECSOInputError: A file is missing, malformed, or was measured on other weights.
    """
    return [read_result_file(_find(recipe, name), name, weights) for name in recipe.card.results]


def read_result_file(file: Path, name: str, weights: Path | None = None) -> ResultTable:
    """Return the table of one result file.

    Args:
        file: The file.
        name: What the card calls it.
        weights: The weights that are published, where they are to be compared.

    Raises:
        ECSOInputError: It is malformed, or was measured on other weights.
    """
    malformed = ECSOInputError(f"{file}: not a result file; it needs a command and rows")
    try:
        stored = json.loads(file.read_text("utf-8"))
        measured = stored.get("model_sha256")
        if "held_out" in stored:
            table = ResultTable(name, TINY_COMMAND, tuple(_tiny_rows(stored["held_out"])))
        else:
            rows = [
                ResultRow(str(r["name"]), _shown(r.get("direct")), _shown(r["protected"]))
                for r in stored["rows"]
            ]
            table = ResultTable(name, str(stored["command"]), tuple(rows))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise malformed from None
    if not table.rows:
        raise malformed
    if measured and weights and _sha256(weights) != measured:
        raise ECSOInputError(f"{file}: measured on other weights than {weights}; measure again")
    return table


def _find(recipe: Recipe, name: str) -> Path:
    for folder in (recipe.path.parent, TINY_FOLDER.parent):
        if (folder / name).is_file():
            return folder / name
    raise ECSOInputError(
        f"{recipe.path}: card.results names {name!r}, which is neither beside the recipe nor in "
        "the package; make it or take it out"
    )


def _tiny_rows(held_out: dict[str, dict[str, float]]) -> list[ResultRow]:
    return [
        ResultRow(
            f"{label}, {TINY_KINDS[kind]} ({figures['pairs']} held-out pairs)",
            _shown(figures[direct] if direct else None),
            _shown(figures[protected]),
        )
        for label, (direct, protected) in TINY_ROWS.items()
        for kind, figures in held_out.items()
    ]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.1%}" if isinstance(value, float) and 0 <= value <= 1 else f"{value:g}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
