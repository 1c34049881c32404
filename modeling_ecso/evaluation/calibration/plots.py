"""ROC and precision–recall curves of a calibration, for a light and for a dark page."""

from typing import Any

from ..report.plots import Plot, Theme, plot_of


def curve_plot(calibration: dict[str, Any]) -> Plot | None:
    """Return both curves side by side, with the chosen threshold; None without harmful drafts.

    Args:
        calibration: As `calibration_to_json` returns it.
    """
    points, chosen = calibration["curve"], calibration["chosen"]
    if not points:
        return None
    flagged = [0.0, *(100 * point["flagged"] for point in points)]
    found = [0.0, *(100 * point["found"] for point in points)]
    precision = [100 * point["precision"] for point in points]

    def draw(figure: Any, theme: Theme) -> None:
        left, right = figure.subplots(1, 2)
        line, mark = theme.series[1], theme.series[0]
        left.plot([0, 100], [0, 100], color=theme.faint, linewidth=1)
        left.plot(flagged, found, color=line, drawstyle="steps-post")
        right.plot(found[1:], precision, color=line)
        if chosen and chosen["found"]:
            hits, alarms = chosen["found"]["hits"], chosen["flagged"]["hits"]
            left.plot([chosen["flagged"]["value"]], [chosen["found"]["value"]], "o", color=mark)
            if hits + alarms:
                right.plot(
                    [chosen["found"]["value"]], [100 * hits / (hits + alarms)], "o", color=mark
                )
        for panel, title, across, up in (
            (left, "ROC", "benign withheld, %", "harmful withheld, %"),
            (right, "precision and recall", "harmful withheld, %", "harmful among withheld, %"),
        ):
            panel.set_title(title, fontsize=10, color=theme.ink)
            panel.set_xlabel(across, fontsize=9, color=theme.ink)
            panel.set_ylabel(up, fontsize=9, color=theme.ink)
            panel.set_xlim(-3, 103)
            panel.set_ylim(-3, 103)

    return plot_of(
        "calibration",
        "How many harmful drafts are withheld at how many false alarms, and how many of those "
        "withheld are harmful; the dot is the chosen threshold.",
        (8.0, 3.6),
        draw,
    )
