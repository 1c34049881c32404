"""The headline figures as a result file, which a model card takes in by its recipe."""

from pathlib import Path
from typing import Any

from ..logs import DIRECT, Run
from ..summary import TITLES, Row, rows_of, variants_of


def card_results(runs: list[Run]) -> dict[str, Any]:
    """Return a command and one row for each figure, each with its protected variant and judge.

    Args:
        runs: The runs, of one model; at least one.

    Returns:
        The layout that `ecso-hub build` reads: ``command`` and ``rows`` of ``name``, ``direct``
        and ``protected``, as text.
    """
    judges = {run.benchmark: run.judge for run in runs if run.judge}
    protected = [variant for variant in variants_of(runs) if variant != DIRECT]
    rows = [
        {
            "name": _name(row, variant, judges.get(row.benchmark)),
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


def _name(row: Row, variant: str, judge: str | None) -> str:
    parts = [TITLES[row.benchmark], row.name, f"{row.figures[variant].count} samples"]
    if judge:
        parts.append(f"scored by {judge}")
    return ", ".join([*parts, variant] if variant != "protected" else parts)


def _shown(row: Row, variant: str) -> str | None:
    figure = row.figures.get(variant)
    if figure is None:
        return None
    unit = "" if row.benchmark == "mme" else "%"
    return f"{figure.value:.1f}{unit} ± {figure.standard_error:.1f}"
