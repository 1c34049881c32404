"""Puts the figures of `EvalRun`s side by side: direct, protected, one column for each preset."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .benchmarks import all_benchmarks, get_benchmark, names_of
from .eval_run import DIRECT, EvalRun, in_order
from .metrics.figure import Figure
from .metrics.over_refusal import GuardFigures, guard_figures
from .samples import READ_AS_TEXT, guard_record


BENIGN = "benign"
_BENIGN_TITLE = "Benign samples"


class StepCost(NamedTuple):
    """What a step of the protocol cost, on average over all answers of a run.

    Args:
        share: Share of answers that reached it, from 0 to 1.
        tokens: Tokens generated.
        milliseconds: Time, that of a batch shared out over its rows.
    """

    share: float
    tokens: float
    milliseconds: float


@dataclass(frozen=True)
class FigureRow:
    """One figure of a benchmark, under every variant.

    Args:
        benchmark: Its name.
        name: Image kind, metric or category.
        figures: Variant to figure.
        is_headline: Whether it stands for the benchmark in a short table.
        parts: Variant to what its figure is over, such as ``4 of 10 categories``, where that is not
            all the name says.
        official: The variants whose figure is over the whole official set, as the paper's are.
        judges: Variant to who judged.
        unlike_paper: Variant to what else than in the paper was asked or judged.
    """

    benchmark: str
    name: str
    figures: dict[str, Figure] = field(default_factory=dict)
    is_headline: bool = True
    parts: dict[str, str] = field(default_factory=dict)
    official: set[str] = field(default_factory=set)
    judges: dict[str, str] = field(default_factory=dict)
    unlike_paper: dict[str, str] = field(default_factory=dict)


def title_of(benchmark: str) -> str:
    """Return what a benchmark is called in print, or the benign samples of several."""
    return _BENIGN_TITLE if benchmark == BENIGN else get_benchmark(benchmark).title


def title_of_run(run: EvalRun) -> str:
    """Return what a run is called in print, whatever its variant."""
    return f"{title_of(run.benchmark)} {run.kind}".strip()


def unit_of(row: FigureRow) -> str:
    """Return the unit of a figure: ``percent`` or ``points``."""
    return "percent" if row.benchmark == BENIGN else get_benchmark(row.benchmark).unit


def measured(runs: Iterable[EvalRun], what: str) -> list[EvalRun]:
    """Return the runs of benchmarks that measure ``safety``, or ``utility``."""
    return [run for run in runs if get_benchmark(run.benchmark).measures == what]


def variants_of(runs: Iterable[EvalRun]) -> list[str]:
    """Return the variants, direct first."""
    return in_order(run.variant for run in runs)


def rows_of(runs: list[EvalRun]) -> list[FigureRow]:
    """Return all figures, in the order of the benchmarks."""
    rows: dict[tuple[str, str], FigureRow] = {}
    for benchmark in all_benchmarks():
        for run in runs:
            if run.benchmark == benchmark.name:
                _add_figures(rows, run)
    return [*rows.values(), *_benign_rows(runs)]


def _add_figures(rows: dict[tuple[str, str], FigureRow], run: EvalRun) -> None:
    benchmark = get_benchmark(run.benchmark)
    for found in benchmark.figures(run):
        if found.figure is None:
            continue
        row = rows.setdefault(
            (run.benchmark, found.name),
            FigureRow(run.benchmark, found.name, is_headline=found.is_headline),
        )
        row.figures[run.variant] = found.figure
        if found.part:
            row.parts[run.variant] = found.part
        if found.is_official:
            row.official.add(run.variant)
            row.unlike_paper[run.variant] = ", ".join(benchmark.differences(run))
        if run.judge:
            row.judges[run.variant] = run.judge


def gaps_of(runs: list[EvalRun]) -> list[str]:
    """Return what the headlines of runs leave out, one line for each gap."""
    lines = [
        f"{title_of(run.benchmark)}: limited to {run.asked} samples"
        for run in runs
        if run.is_limited
    ]
    for row in rows_of(runs):
        for part in dict.fromkeys(row.parts.values()) if row.is_headline else ():
            variants = [variant for variant, each in row.parts.items() if each == part]
            of = "" if len(variants) == len(row.figures) else f", {', '.join(variants)}"
            lines.append(f"{title_of(row.benchmark)}, {row.name}{of}: {part}")
    return list(dict.fromkeys(lines))


def read_as_text_of(runs: list[EvalRun]) -> list[str]:
    """Say in which runs verdicts were read as text for want of log-probabilities."""
    lines = []
    for run in runs:
        count = sum(bool(sample.trace and sample.trace.get(READ_AS_TEXT)) for sample in run.samples)
        if count:
            lines.append(
                f"{title_of_run(run)}, {run.variant}: the model gave no log-probabilities for "
                f"{count} of {len(run.samples)} answers, whose verdicts were read as text"
            )
    return lines


def mixed_judges_of(runs: list[EvalRun]) -> str:
    """Say who judged which kind where a table sets kinds side by side; empty: all the same."""
    lines = []
    for benchmark in all_benchmarks():
        by_judge: dict[str, list[str]] = defaultdict(list)
        for run in runs:
            if run.benchmark == benchmark.name and run.kind not in by_judge[run.judge]:
                by_judge[run.judge].append(run.kind)
        if benchmark.scenario_table and len(by_judge) > 1:
            said = "; ".join(f"{', '.join(kinds)} by {judge}" for judge, kinds in by_judge.items())
            lines.append(f"image kinds of {benchmark.title} were judged differently: {said}")
    return "; ".join(lines)


def summary_of(runs: list[EvalRun]) -> dict[str, dict[str, dict[str, float]]]:
    """Return benchmark → kind or metric → variant → value, headlines only."""
    nested: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for row in rows_of(runs):
        if row.is_headline:
            nested[row.benchmark][row.name] = {
                variant: round(figure.value, 2) for variant, figure in row.figures.items()
            }
    return dict(nested)


def guard_of(run: EvalRun, runs: list[EvalRun]) -> GuardFigures | None:
    """Return what the guard did in a run; None for a direct one."""
    return guard_of_all([run], runs)


def guard_of_all(protected: list[EvalRun], runs: list[EvalRun]) -> GuardFigures | None:
    """Return what the guard did in several runs together; None where there is no trace.

    Args:
        protected: The runs to count.
        runs: All runs, among them the direct ones to compare with.
    """
    direct = {
        (run.benchmark, run.kind, sample.id): sample
        for run in runs
        if run.variant == DIRECT
        for sample in run.samples
    }
    records = [
        guard_record(sample, direct.get((run.benchmark, run.kind, sample.id)))
        for run in protected
        for sample in run.samples
        if sample.trace
    ]
    return guard_figures(records) if records else None


def costs_of(run: EvalRun) -> dict[str, StepCost]:
    """Return the cost of each step that a protected run took."""
    traces = [sample.trace for sample in run.samples if sample.trace]
    costs = {}
    for name in ("direct", "detect", "caption", "safe"):
        reached = [[s for s in trace["steps"] if s["step"] == name] for trace in traces]
        steps = [step for taken in reached for step in taken]
        if steps:
            costs[name] = StepCost(
                share=sum(map(bool, reached)) / len(traces),
                tokens=sum(step["tokens"] for step in steps) / len(traces),
                milliseconds=sum(s["ms"] / s.get("rows", 1) for s in steps) / len(traces),
            )
    return costs


def _benign_rows(runs: list[EvalRun]) -> list[FigureRow]:
    """Return what protection took from benign samples, those of the utility benchmarks."""
    flagged, changed = FigureRow(BENIGN, "flagged"), FigureRow(BENIGN, "changed")
    refused = FigureRow(BENIGN, "refused by the model itself", is_headline=False)
    over: dict[str, str] = {}
    utility = names_of("utility")
    for variant in variants_of(runs):
        benign = [run for run in runs if run.variant == variant and run.benchmark in utility]
        guard = guard_of_all(benign, runs)
        if guard is None:
            continue
        names = dict.fromkeys(map(title_of_run, benign))
        over[variant] = f"over {', '.join(names)}"
        flagged.figures[variant] = guard.flagged
        refused.figures[variant] = guard.refused_by_model
        if guard.changed is not None:
            changed.figures[variant] = guard.changed
    if len(set(over.values())) > 1:  # else each is over all there is
        for row in (flagged, changed, refused):
            row.parts.update({variant: over[variant] for variant in row.figures})
    return [row for row in (flagged, changed, refused) if row.figures]


def figure_to_json(figure: Figure | None) -> dict[str, Any] | None:
    """Return a figure as plain values."""
    if figure is None:
        return None
    return {
        "value": round(figure.value, 2),
        "standard_error": None
        if figure.standard_error is None
        else round(figure.standard_error, 2),
        "count": figure.count,
    }
