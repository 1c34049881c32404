"""The headline figures as a result file, which a model card takes in by its recipe."""

from pathlib import Path
from typing import Any

from ..eval_run import DIRECT, PROTECTED, EvalRun
from ..summary import FigureRow, rows_of, title_of, unit_of, variants_of


def card_results(runs: list[EvalRun]) -> dict[str, Any]:
    """Return a command and one row for each figure, each with its protected variant and judge.

    Args:
        runs: The runs, of one model; at least one.

    Returns:
        The layout that `ecso-hub build` reads: ``command`` and ``rows`` of ``name``, ``direct``
        and ``protected``, as text.
    """
    protected = [variant for variant in variants_of(runs) if variant != DIRECT]
    rows = [
        {
            "name": _name(row, variant),
            "direct": _shown(row, DIRECT),
            "protected": _shown(row, variant),
        }
        for row in rows_of(runs)
        for variant in protected
        if row.is_headline and variant in row.figures
    ]
    model = runs[0].model.removeprefix("ecso/")
    # A card is published; where a folder lies on this machine is nobody else's matter.
    model = "FOLDER" if Path(model).is_absolute() else model
    command = f"ecso eval BENCHMARK --model {model} --data DIR --compare"
    return {"command": command, "rows": rows}


def _name(row: FigureRow, variant: str) -> str:
    parts = [title_of(row.benchmark), row.name, *_basis(row, variant)]
    if variant != PROTECTED:
        parts.append(variant)
    if DIRECT in row.figures and _basis(row, DIRECT) != _basis(row, variant):
        parts.append(f"direct: {', '.join(_basis(row, DIRECT))}")
    return ", ".join(parts)


def _basis(row: FigureRow, variant: str) -> list[str]:
    """Return what a figure is over, and who judged."""
    part, judge = row.parts.get(variant), row.judges.get(variant)
    return [
        *([part] if part else []),
        f"{row.figures[variant].count} samples",
        *([f"scored by {judge}"] if judge else []),
    ]


def _shown(row: FigureRow, variant: str) -> str | None:
    figure = row.figures.get(variant)
    return figure.shown("%" if unit_of(row) == "percent" else "") if figure else None
