"""`write_report`: logs → one self-contained page, its plots as PNG, and JSON for machines.

``index.html`` holds everything, its plots too, and fetches nothing. ``summary.json`` is benchmark →
kind or metric → variant, what calibration found and what came of attacks; ``figures.json`` has
every figure with its standard error, judge, cost and the paper's value; ``card.json`` has the
headlines as a model card takes them in.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..agreement import Agreement
from ..attack_table import AttackTable
from ..eval_run import EvalRun
from ..summary import summary_of
from .card import card_results
from .content import attacks_summary, calibration_summary, report_content
from .plots import Plot, draw_plots


class Report(NamedTuple):
    """The files that were written."""

    page: Path
    summary: Path
    figures: Path
    card: Path
    plots: tuple[Path, ...]


def write_report(
    runs: list[EvalRun],
    out: Path,
    calibration: dict[str, Any] | None = None,
    attacks: AttackTable | None = None,
    judges: Sequence[Agreement] = (),
) -> Report:
    """Write the report of a model's runs.

    Args:
        runs: The runs, of one model.
        out: Folder to write into; made if need be.
        calibration: What `ecso calibrate` found about the model; None: it was not run.
        attacks: What came of the model under attack; None: no attack was tried.
        judges: How far judges of the same answers agree.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from ..calibration.plots import curve_plot

    out.mkdir(parents=True, exist_ok=True)
    content = report_content(runs, calibration, attacks, judges)
    plots = draw_plots(runs)
    if calibration and (curves := curve_plot(calibration)):
        plots.append(curves)
    environment = Environment(
        loader=PackageLoader(__name__, "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    template = environment.get_template("page.html.jinja")
    page = template.render(**content, plots=[_embedded(plot) for plot in plots])
    report = Report(
        page=out / "index.html",
        summary=out / "summary.json",
        figures=out / "figures.json",
        card=out / "card.json",
        plots=tuple(out / f"{plot.name}.png" for plot in plots),
    )
    report.page.write_text(page, "utf-8")
    summary = {
        **summary_of(runs),
        **calibration_summary(calibration),
        **attacks_summary(attacks),
    }
    report.summary.write_text(_json(summary), "utf-8")
    report.figures.write_text(_json(content), "utf-8")
    report.card.write_text(_json(card_results(runs)), "utf-8")
    for plot, file in zip(plots, report.plots, strict=True):
        file.write_bytes(plot.light)
    return report


def _embedded(plot: Plot) -> dict[str, str]:
    return {
        "name": plot.name,
        "caption": plot.caption,
        "light": base64.b64encode(plot.light).decode("ascii"),
        "dark": base64.b64encode(plot.dark).decode("ascii"),
    }


def _number(value: float | None, digits: int = 1) -> str:
    """Return a number as the page shows it; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
