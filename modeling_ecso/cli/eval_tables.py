"""The tables that `ecso eval` ends with, and what must be known to read them."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..evaluation.agreement import Agreement
from ..evaluation.benchmark import Benchmark, ScenarioTable
from ..evaluation.benchmarks import all_benchmarks, get_benchmark, listed, names_of
from ..evaluation.eval_run import DIRECT, EvalRun
from ..evaluation.metrics.figure import Figure
from ..evaluation.summary import (
    BENIGN,
    gaps_of,
    guard_of,
    mixed_judges_of,
    read_as_text_of,
    rows_of,
    title_of,
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
            name = title_of(row.benchmark) if row.benchmark != last else ""
            cells = [_cell(row.figures.get(variant), is_narrow) for variant in variants]
            table.add_row(name, row.name, *cells)
            last = row.benchmark
    return table


def agreement_table(found: Sequence[Agreement]) -> Table:
    """Return how far two judges of the same answers agree, a row for each two of them."""
    table = Table("benchmark", "judges", box=SIMPLE_HEAD, title="agreement of judges")
    for heading in ("answers", "agree, %", "kappa", "harmless to\nthe first alone", "the second"):
        table.add_column(heading, justify="right")
    for each in found:
        kappa = "-" if each.kappa is None else f"{each.kappa:.2f}"
        table.add_row(
            title_of(each.benchmark),
            "\n".join(each.judges),
            str(each.agreed.count),
            f"{each.agreed.value:.1f}\n{each.agreed.interval.shown()}",
            kappa,
            str(each.first_alone),
            str(each.second_alone),
        )
    return table


def scenario_tables(runs: list[EvalRun]) -> list[Table]:
    """Return the harmless rates by scenario, as in the paper's table; none where there are none.

    Direct and protected stand in one table of all image kinds; with more variants each kind has
    its own.
    """
    return [
        table
        for benchmark in all_benchmarks()
        if benchmark.scenario_table
        for table in _tables_of(
            benchmark.scenario_table, [run for run in runs if run.benchmark == benchmark.name]
        )
    ]


def _tables_of(table: ScenarioTable, runs: list[EvalRun]) -> list[Table]:
    rates = {(run.kind, run.variant): table.rates(run) for run in runs}
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
                table,
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
    title = f"scenario, {' → '.join(variants)}"
    return [_by_scenario(table, title, kinds, cells)] if cells else []


def _by_scenario(
    table: ScenarioTable, title: str, columns: list[str], cells: dict[str, list[str]]
) -> Table:
    """Return a table of cells by scenario; those that the paper does not count are dim."""
    shown = Table(title, box=SIMPLE_HEAD)
    for column in columns:
        shown.add_column(column, justify="right")
    for name, row in cells.items():
        shown.add_row(name, *row, style=None if name in table.counted else "dim")
    return shown


def notes(runs: list[EvalRun], benign: list[EvalRun]) -> list[str]:
    """Return what must be known to read the table.

    Args:
        runs: The runs it shows.
        benign: Earlier runs on benign samples, of which it shows what the guard did.
    """
    lines = [line for benchmark in all_benchmarks() for line in _counted_notes(benchmark, runs)]
    lines += gaps_of([*runs, *benign])
    lines += read_as_text_of(runs)
    lines += [line] if (line := mixed_judges_of(runs)) else []
    judges = sorted({run.judge for run in runs if run.judge})
    if judges:
        lines.append(f"judged by {', '.join(judges)}")
    if any(run.judge == run.model for run in runs):
        lines.append("the judge is the evaluated model itself")
    for run in runs:
        lines += _notes_of(run, runs)
    return [*lines, *_over_refusal_notes(runs, benign)]


def _counted_notes(benchmark: Benchmark, runs: list[EvalRun]) -> list[str]:
    """Say which scenarios of a benchmark its mean counts."""
    table = benchmark.scenario_table
    if table is None:
        return []
    rates = [table.rates(run) for run in runs if run.benchmark == benchmark.name]
    counted = {table.counted_in(found) for found in rates}
    if not counted:
        return []
    eight = f"the paper's {table.number}"
    if counted == {len(table.counted)}:
        return [f"{benchmark.title}: mean of {eight} scenarios; dim ones are not counted"]
    return [f"{benchmark.title}: dim scenarios are not among {eight}"]


def _notes_of(run: EvalRun, runs: list[EvalRun]) -> list[str]:
    """Say what could not be read in a run, and, of a safety run, what the guard did."""
    benchmark = get_benchmark(run.benchmark)
    name = f"{run.kind} {run.variant}".strip()
    lines = []
    if unread := benchmark.unreadable(run):
        lines.append(f"{name}: {unread} {benchmark.unreadable_as}")
    if benchmark.measures != "safety":
        return lines
    if empty := sum(not sample.answer.strip() for sample in run.samples):
        lines.append(f"{name}: {empty} empty answers")
    if guard := guard_of(run, runs):
        lines.append(
            f"{name}: guard acted on {guard.flagged.value:.1f}% "
            f"(safe step {guard.answered_safely.value:.1f}%, "
            f"configured refusal {guard.refused_by_guard.value:.1f}%); "
            f"the model itself refused {guard.refused_by_model.value:.1f}%"
            + _agreement(guard.detector_accuracy)
        )
    return lines


def _over_refusal_notes(runs: list[EvalRun], benign: list[EvalRun]) -> list[str]:
    """Say under which variants no benign sample was met."""
    safety = names_of("safety")
    guarded = {run.variant for run in runs if run.benchmark in safety and run.variant != DIRECT}
    measured = {
        variant
        for row in rows_of([*runs, *benign])
        if (row.benchmark, row.name) == (BENIGN, "flagged")
        for variant in row.figures
    }
    if not guarded - measured:
        return []
    of = f" under {', '.join(sorted(guarded - measured))}" if guarded & measured else ""
    benign_ones = listed(names_of("utility"))
    return [
        f"over-refusal{of} is unknown: run {benign_ones}, whose samples are benign, with the same "
        "--log-dir"
    ]


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
