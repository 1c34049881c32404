"""The plots of a report, each drawn for a light and for a dark page."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..benchmark import Benchmark, ScenarioTable
from ..benchmarks import all_benchmarks, names_of
from ..eval_run import DIRECT, EvalRun
from ..summary import FigureRow, costs_of, rows_of, title_of, title_of_run, variants_of


HARMLESS = "harmless-by-scenario"


@dataclass(frozen=True)
class Plot:
    """One plot.

    Args:
        name: File name without ending.
        caption: What it shows.
        light: PNG for a light page.
        dark: PNG for a dark page.
    """

    name: str
    caption: str
    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Theme:
    """Colours of a page: those of the variants stand in the order direct, protected, others."""

    ink: str
    faint: str
    paper: str
    series: tuple[str, ...]


_LIGHT = Theme(
    "#1c2430", "#d5dae1", "#ffffff", ("#c2703d", "#1f7a6d", "#3f63a8", "#8a5a9e", "#7d7a2f")
)
_DARK = Theme(
    "#e6eaf0", "#3a4350", "#171c23", ("#e09a63", "#52bfae", "#85a5e6", "#c39ad6", "#bdb95f")
)
_STEPS = ("direct", "detect", "caption", "safe")


def draw_plots(runs: list[EvalRun]) -> list[Plot]:
    """Return the plots that the runs give something for."""
    plots = [*_harmless_plots(runs), _utility_plot(runs), _cost_plot(runs)]
    return [plot for plot in plots if plot is not None]


def _harmless_plots(runs: list[EvalRun]) -> list[Plot]:
    """One plot for each benchmark that has a table by scenario; the first has the plain name."""
    measured = {run.benchmark for run in runs}
    found = [
        (benchmark, table)
        for benchmark in all_benchmarks()
        if (table := benchmark.scenario_table) and benchmark.name in measured
    ]
    return [
        _harmless_plot(
            f"{HARMLESS}-{benchmark.name}" if place else HARMLESS,
            benchmark,
            table,
            [run for run in runs if run.benchmark == benchmark.name],
        )
        for place, (benchmark, table) in enumerate(found)
    ]


def _harmless_plot(
    plot_name: str, benchmark: Benchmark, table: ScenarioTable, runs: list[EvalRun]
) -> Plot:
    """Harmless rate per scenario, one panel for each kind."""
    kinds = [kind for kind in benchmark.kinds if any(run.kind == kind for run in runs)]
    variants = variants_of(runs)
    rates = {(run.kind, run.variant): table.rates(run) for run in runs}
    names = sorted({name for found in rates.values() for name in found}, reverse=True)

    def draw(figure: Any, theme: Theme) -> None:
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        height = 0.8 / len(variants)
        for panel, kind in zip(panels, kinds, strict=True):
            for place, variant in enumerate(variants):
                found = rates.get((kind, variant), {})
                at = [y + 0.4 - height * (place + 0.5) for y in range(len(names))]
                values = [found[name].value if name in found else 0 for name in names]
                errors = [(found[n].standard_error or 0) if n in found else 0 for n in names]
                panel.barh(
                    at,
                    values,
                    height * 0.92,
                    xerr=errors,
                    color=theme.series[place % len(theme.series)],
                    error_kw={"ecolor": theme.ink, "elinewidth": 0.8},
                    label=variant,
                )
            panel.set_xlim(0, 105)
            panel.set_xticks([0, 50, 100])
            panel.set_title(kind, fontsize=10, color=theme.ink)
        labels = [_scenario_label(name) for name in names]
        panels[0].set_yticks(range(len(names)), labels, fontsize=8.5)
        for tick, name in zip(panels[0].get_yticklabels(), names, strict=True):
            tick.set_alpha(1 if name in table.counted else 0.55)
        _legend(figure, panels[0], theme)

    return plot_of(
        plot_name,
        f"Harmless rate per scenario of {benchmark.title}, percent, with standard errors. "
        f"Scenarios in pale print are not among the {table.number} that the mean counts.",
        (9.5, 0.9 + 0.16 * len(names) * (1 + len(variants))),
        draw,
    )


def _utility_plot(runs: list[EvalRun]) -> Plot | None:
    """Utility before and after: each panel has its own scale."""
    utility = names_of("utility")
    rows = [row for row in rows_of(runs) if row.is_headline and row.benchmark in utility]
    if not rows:
        return None
    variants = variants_of(runs)
    points = " and ".join(each.title for each in all_benchmarks() if each.unit == "points")

    def draw(figure: Any, theme: Theme) -> None:
        panels = figure.subplots(1, len(rows), squeeze=False)[0]
        for panel, row in zip(panels, rows, strict=True):
            _utility_bars(panel, row, variants, theme)
        _legend(figure, panels[0], theme)

    return plot_of(
        "utility",
        f"Utility before and after: {points} in points, the others in percent, with standard "
        "errors.",
        (max(1.75 * len(rows), 4.0), 3.1),
        draw,
    )


def _utility_bars(panel: Any, row: FigureRow, variants: list[str], theme: Theme) -> None:
    for place, variant in enumerate(variants):
        figure = row.figures.get(variant)
        panel.bar(
            place,
            figure.value if figure else 0,
            0.8,
            yerr=(figure.standard_error or 0) if figure else 0,
            color=theme.series[place % len(theme.series)],
            error_kw={"ecolor": theme.ink, "elinewidth": 0.8},
            label=variant,
        )
        panel.annotate(
            f"{figure.value:.1f}" if figure else "–",
            (place, 0),
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=theme.paper if figure else theme.ink,
        )
    panel.set_xticks([])
    panel.set_title(f"{title_of(row.benchmark)}\n{row.name}", fontsize=9, color=theme.ink)
    panel.margins(y=0.12)


def _cost_plot(runs: list[EvalRun]) -> Plot | None:
    """Time per answer, by step, for each protected run."""
    costs = [(run, costs_of(run)) for run in runs if run.variant != DIRECT]
    costs = [(run, cost) for run, cost in costs if cost][::-1]
    if not costs:
        return None

    def draw(figure: Any, theme: Theme) -> None:
        panel = figure.subplots()
        left = [0.0] * len(costs)
        for place, step in enumerate(_STEPS):
            widths = [cost[step].milliseconds if step in cost else 0 for _, cost in costs]
            panel.barh(
                range(len(costs)),
                widths,
                0.7,
                left=left,
                color=theme.series[place],
                label=step,
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        names = [f"{title_of_run(run)} {run.variant}" for run, _ in costs]
        panel.set_yticks(range(len(costs)), names, fontsize=8.5)
        panel.set_xlabel("milliseconds for each answer", fontsize=9, color=theme.ink)
        _legend(figure, panel, theme)

    return plot_of(
        "cost",
        "Time for each answer, by step, on average over all answers of a run; the time of a batch "
        "is shared out over its rows.",
        (9.5, 1.1 + 0.3 * len(costs)),
        draw,
    )


def plot_of(
    name: str, caption: str, inches: tuple[float, float], draw: Callable[[Any, Theme], None]
) -> Plot:
    """Draw a plot for both pages.

    Args:
        name: File name without ending.
        caption: What it shows.
        inches: Width and height.
        draw: Draws onto a figure of matplotlib in the colours of a page.
    """
    light, dark = (_png(inches, draw, theme) for theme in (_LIGHT, _DARK))
    return Plot(name, caption, light, dark)


def _png(inches: tuple[float, float], draw: Callable[[Any, Theme], None], theme: Theme) -> bytes:
    from matplotlib.figure import Figure

    # Without pyplot: no display is looked for, and nothing is left open.
    figure = Figure(figsize=inches, dpi=160, facecolor=theme.paper, layout="constrained")
    draw(figure, theme)
    for panel in figure.axes:
        panel.set_facecolor(theme.paper)
        panel.tick_params(colors=theme.ink, labelsize=8.5, length=0)
        panel.grid(axis="both", color=theme.faint, linewidth=0.6)
        panel.set_axisbelow(True)
        for side in panel.spines.values():
            side.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=theme.paper)
    return buffer.getvalue()


def _legend(figure: Any, panel: Any, theme: Theme) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=len(labels),
        frameon=False,
        fontsize=9,
        labelcolor=theme.ink,
    )


def _scenario_label(name: str) -> str:
    number, _, words = name.partition("-")
    return f"{words.replace('_', ' ')}  {number}"
