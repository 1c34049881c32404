"""The tables that `ecso eval` ends with, and what must be known to read them."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..evaluation.logs import DIRECT, EvalRun
from ..evaluation.metrics.figure import Figure
from ..evaluation.metrics.harmless import PAPER_SCENARIOS
from ..evaluation.run_figures import rates_of, unreadable_of
from ..evaluation.summary import (
    BENIGN,
    SAFETY,
    TITLES,
    gaps_of,
    guard_of,
    mixed_judges_of,
    rows_of,
    variants_of,
)


# More columns with a value and its standard error side by side do not fit a terminal.
_MOST_WIDE_COLUMNS = 3


def comparison(runs: list[EvalRun], benign: list[EvalRun]) -> Table:
    """Return the figures side by side, one column for each variant.

    Args:
        runs: The runs to show.
        benign: Earlier runs of the same model on benign samples; only what the guard did to them
            is shown.
    """
    variants = variants_of(runs)
    is_narrow = len(variants) > _MOST_WIDE_COLUMNS
    table = Table("benchmark", "figure", box=SIMPLE_HEAD)
    for variant in variants:
        table.add_column(_heading(variant) if is_narrow else variant, justify="right")
    last = None
    shown = {BENIGN, *(run.benchmark for run in runs)}
    for row in rows_of([*runs, *benign]):
        if row.is_headline and row.benchmark in shown:
            name = TITLES[row.benchmark] if row.benchmark != last else ""
            cells = [_cell(row.figures.get(variant), is_narrow) for variant in variants]
            table.add_row(name, row.name, *cells)
            last = row.benchmark
    return table


def scenario_tables(runs: list[EvalRun]) -> list[Table]:
    """Return the harmless rates by scenario, as in the paper's table; none where there are none.

    Direct and protected stand in one table of all image kinds; with more variants each kind has
    its own.
    """
    runs = [run for run in runs if run.benchmark == "mm_safetybench"]
    rates = {(run.kind, run.variant): rates_of(run).by_scenario for run in runs}
    kinds = list(dict.fromkeys(run.kind for run in runs))
    variants = variants_of(runs)
    scenarios = sorted({name for found in rates.values() for name in found})

    def rate(scenario: str, kind: str, variant: str) -> str:
        figure = rates.get((kind, variant), {}).get(scenario)
        return f"{figure.value:.1f}" if figure else "-"

    if len(variants) > 2:
        headings = [_heading(variant) for variant in variants]
        return [
            _by_scenario(
                f"scenario, {kind}",
                headings,
                {name: [rate(name, kind, variant) for variant in variants] for name in scenarios},
            )
            for kind in kinds
        ]
    cells = {
        name: [" → ".join(rate(name, kind, variant) for variant in variants) for kind in kinds]
        for name in scenarios
    }
    return [_by_scenario(f"scenario, {' → '.join(variants)}", kinds, cells)] if cells else []


def _by_scenario(title: str, columns: list[str], cells: dict[str, list[str]]) -> Table:
    """Return a table of cells by scenario; those that the paper does not count are dim."""
    table = Table(title, box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in cells.items():
        table.add_row(name, *row, style=None if name in PAPER_SCENARIOS else "dim")
    return table


def notes(runs: list[EvalRun], benign: list[EvalRun]) -> list[str]:
    """Return what must be known to read the table.

    Args:
        runs: The runs it shows.
        benign: Earlier runs on benign samples, of which it shows what the guard did.
    """
    lines = []
    counted = {rates_of(run).counted for run in runs if run.benchmark == "mm_safetybench"}
    if counted == {len(PAPER_SCENARIOS)}:
        lines.append(
            "MM-SafetyBench: mean of the paper's eight scenarios; dim ones are not counted"
        )
    elif counted:
        lines.append("MM-SafetyBench: dim scenarios are not among the paper's eight")
    lines += gaps_of([*runs, *benign])
    lines += [line] if (line := mixed_judges_of(runs)) else []
    judges = sorted({run.judge for run in runs if run.judge})
    if judges:
        lines.append(f"judged by {', '.join(judges)}")
    if any(run.judge == run.model for run in runs):
        lines.append("the judge is the evaluated model itself")
    for run in runs:
        if run.benchmark not in SAFETY:
            if unread := unreadable_of(run):
                what = "grades could not be read and count as 0"
                if run.benchmark != "mmvet":
                    what = "answers could not be read and count as wrong"
                lines.append(f"{run.kind} {run.variant}".strip() + f": {unread} {what}")
            continue
        rates = rates_of(run)
        name = " ".join(part for part in (run.kind, run.variant) if part)
        if rates.invalid:
            lines.append(f"{name}: {rates.invalid} verdicts unreadable, counted as harmful")
        if rates.empty:
            lines.append(f"{name}: {rates.empty} empty answers")
        guard = guard_of(run, runs)
        if guard:
            lines.append(
                f"{name}: guard acted on {guard.flagged.value:.1f}% "
                f"(safe step {guard.answered_safely.value:.1f}%, "
                f"configured refusal {guard.refused_by_guard.value:.1f}%); "
                f"the model itself refused {guard.refused_by_model.value:.1f}%"
                + _agreement(guard.detector_accuracy)
            )
    guarded = {r.variant for r in runs if r.benchmark in SAFETY and r.variant != DIRECT}
    measured = {
        variant
        for row in rows_of([*runs, *benign])
        if (row.benchmark, row.name) == (BENIGN, "flagged")
        for variant in row.figures
    }
    if guarded - measured:
        of = f" under {', '.join(sorted(guarded - measured))}" if guarded & measured else ""
        lines.append(
            f"over-refusal{of} is unknown: run mme, mmbench or mmvet, whose samples are benign, "
            "with the same --log-dir"
        )
    return lines


def _agreement(accuracy: Figure | None) -> str:
    return f"; on {accuracy.value:.1f}% of drafts it agrees with the judge" if accuracy else ""


def _heading(variant: str) -> str:
    """Return a variant's name in two lines, if it has two parts."""
    return variant.replace("-", "-\n").replace(", ", ",\n")


def _cell(figure: Figure | None, is_narrow: bool) -> str:
    """Return value and standard error, one above the other where it is narrow."""
    if figure is None:
        return ""
    return figure.shown().replace(" ", "\n", 1) if is_narrow else figure.shown()
