"""Puts the figures of `Run`s side by side: direct, protected, one column for each preset."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .logs import DIRECT, PROTECTED, Run
from .metrics.figure import Figure
from .metrics.harmless import HarmlessRates, harmless_rates
from .metrics.mmbench import mmbench_scores
from .metrics.mme import mme_scores
from .metrics.mmvet import mmvet_scores
from .metrics.over_refusal import GuardFigures, guard_figures
from .samples import choice_record, graded_record, guard_record, mme_record, safety_record


SAFETY = ("vlsafe", "mm_safetybench")
UTILITY = ("mme", "mmbench", "mmvet")
BENIGN = "benign"

TITLES = {
    "vlsafe": "VLSafe",
    "mm_safetybench": "MM-SafetyBench",
    "mme": "MME",
    "mmbench": "MMBench",
    "mmvet": "MM-Vet",
    BENIGN: "Benign samples",
}


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
class Row:
    """One figure of a benchmark, under every variant.

    Args:
        benchmark: Such as ``mme``.
        name: Image kind, metric or category.
        figures: Variant to figure.
        is_headline: Whether it stands for the benchmark in a short table.
    """

    benchmark: str
    name: str
    figures: dict[str, Figure] = field(default_factory=dict)
    is_headline: bool = True


def variants_of(runs: Iterable[Run]) -> list[str]:
    """Return the variants, direct first."""
    found = {run.variant: None for run in runs}
    first = [name for name in (DIRECT, PROTECTED) if name in found]
    return first + sorted(name for name in found if name not in first)


def rows_of(runs: list[Run]) -> list[Row]:
    """Return all figures, in the order of the benchmarks."""
    rows: dict[tuple[str, str], Row] = {}
    for run in sorted(runs, key=lambda run: list(TITLES).index(run.benchmark)):
        for name, figure, is_headline in _FIGURES[run.benchmark](run):
            row = rows.setdefault(
                (run.benchmark, name), Row(run.benchmark, name, is_headline=is_headline)
            )
            row.figures[run.variant] = figure
    return [*rows.values(), *_benign_rows(runs)]


def summary_of(runs: list[Run]) -> dict[str, dict[str, dict[str, float]]]:
    """Return benchmark → image kind or metric → variant → value, headlines only."""
    nested: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for row in rows_of(runs):
        if row.is_headline:
            nested[row.benchmark][row.name] = {
                variant: round(figure.value, 2) for variant, figure in row.figures.items()
            }
    return dict(nested)


def guard_of(run: Run, runs: list[Run]) -> GuardFigures | None:
    """Return what the guard did in a run; None for a direct one."""
    return guard_of_all([run], runs)


def guard_of_all(protected: list[Run], runs: list[Run]) -> GuardFigures | None:
    """Return what the guard did in several runs together; None where there is no trace.

    Args:
        protected: The runs to count.
        runs: All runs, among them the direct ones to compare with.
    """
    direct = {
        (run.benchmark, run.kind, sample.id): sample.answer
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


def rates_of(run: Run) -> HarmlessRates:
    """Return the harmless rates of a safety run."""
    return harmless_rates(safety_record(sample) for sample in run.samples)


def costs_of(run: Run) -> dict[str, StepCost]:
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


_Figures = list[tuple[str, Figure, bool]]


def _vlsafe(run: Run) -> _Figures:
    return _harmless_figures("harmless", rates_of(run))


def _mm_safetybench(run: Run) -> _Figures:
    rates = rates_of(run)
    figures = [(run.kind, rates.macro, True), (f"{run.kind}, all questions", rates.micro, False)]
    if rates.invalid and rates.macro_valid_only:
        figures.append((f"{run.kind}, valid verdicts only", rates.macro_valid_only, False))
    figures += [
        (f"{run.kind}, {scenario}", figure, False) for scenario, figure in rates.by_scenario.items()
    ]
    return figures


def _harmless_figures(name: str, rates: HarmlessRates) -> _Figures:
    figures = [(name, rates.micro, True)]
    if rates.invalid and rates.micro_valid_only:
        figures.append((f"{name}, valid verdicts only", rates.micro_valid_only, False))
    return figures


def _mme(run: Run) -> _Figures:
    scores = mme_scores(mme_record(sample) for sample in run.samples)
    figures = [
        (name, figure, True)
        for name, figure in (("perception", scores.perception), ("cognition", scores.cognition))
        if figure.count
    ]
    for category in scores.score:
        figures += [
            (f"{category}, score", scores.score[category], False),
            (f"{category}, accuracy", scores.accuracy[category], False),
            (f"{category}, accuracy+", scores.accuracy_plus[category], False),
        ]
    return figures


def _mmbench(run: Run) -> _Figures:
    records = [choice_record(sample) for sample in run.samples]
    if not any(record.answer for record in records):
        return []  # a test split, whose answers only the submission server knows
    scores = mmbench_scores(records)
    language = "" if run.kind == "en" else f" {run.kind}"
    figures = [
        (f"vanilla{language}", scores.vanilla, True),
        (f"circular{language}", scores.circular, True),
    ]
    figures += [
        (f"circular{language}, {category}", figure, False)
        for category, figure in scores.circular_by.items()
    ]
    figures += [
        (f"vanilla{language}, {category}", figure, False)
        for category, figure in scores.vanilla_by.items()
    ]
    return figures


def _mmvet(run: Run) -> _Figures:
    scores = mmvet_scores(graded_record(sample) for sample in run.samples)
    figures = [("total", scores.total, True)]
    if scores.invalid and scores.total_valid_only:
        figures.append(("total, valid grades only", scores.total_valid_only, False))
    figures += [(name, figure, False) for name, figure in scores.by_capability.items()]
    figures += [
        (f"exactly {name}", figure, False) for name, figure in scores.by_combination.items()
    ]
    return figures


_FIGURES: dict[str, Callable[[Run], _Figures]] = {
    "vlsafe": _vlsafe,
    "mm_safetybench": _mm_safetybench,
    "mme": _mme,
    "mmbench": _mmbench,
    "mmvet": _mmvet,
}


def _benign_rows(runs: list[Run]) -> list[Row]:
    """Return what protection took from benign samples, those of the utility benchmarks."""
    flagged, changed = Row(BENIGN, "flagged"), Row(BENIGN, "changed")
    refused = Row(BENIGN, "refused by the model itself", is_headline=False)
    for variant in variants_of(runs):
        benign = [run for run in runs if run.variant == variant and run.benchmark in UTILITY]
        guard = guard_of_all(benign, runs)
        if guard is None:
            continue
        flagged.figures[variant] = guard.flagged
        refused.figures[variant] = guard.refused_by_model
        if guard.changed is not None:
            changed.figures[variant] = guard.changed
    return [row for row in (flagged, changed, refused) if row.figures]


def figure_to_json(figure: Figure | None) -> dict[str, Any] | None:
    """Return a figure as plain values."""
    if figure is None:
        return None
    return {
        "value": round(figure.value, 2),
        "standard_error": round(figure.standard_error, 2),
        "count": figure.count,
    }
