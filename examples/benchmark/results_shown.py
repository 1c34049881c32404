"""What was measured, as a table and as a plot."""

from pathlib import Path

from rich.console import Console
from rich.table import Table


COLUMNS = ("path", "preset", "new_tokens", "batch", "variant", "ms")
DRAWN = ("published", "ours, no shared prefix", "ours", "ours, follow-up question", "floor")


def show(rows: list[dict], title: str) -> None:
    """Print rows as a table."""
    table = Table(title=title, title_justify="left")
    for column in ("path", "preset", "tokens", "batch", "variant", "ms"):
        table.add_column(column)
    has_peaks = any("peak_mb" in row for row in rows)
    for column in ("/ direct", "spread", "/ published", "/ floor", *["peak MB"] * has_peaks):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row["ratio_to_direct_spread"]
        table.add_row(
            *(str(row[key]) for key in COLUMNS),
            f"{row['ratio_to_direct']:.2f}",
            f"{low:.2f}-{high:.2f}",
            f"{row['ratio_to_published']:.2f}",
            f"{row['ratio_to_floor']:.2f}" if "ratio_to_floor" in row else "-",
            *[str(row.get("peak_mb", "-"))] * has_peaks,
        )
    Console(width=130).print(table)


def draw(rows: list[dict], target: Path) -> None:
    """Draw cost against answer length, for one row alone."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, path in zip(axes, ("benign", "flagged"), strict=True):
        for variant in DRAWN:
            line = [
                (row["new_tokens"], row["ratio_to_direct"])
                for row in rows
                if (row["path"], row["preset"], row["variant"]) == (path, "paper", variant)
            ]
            axis.plot(*zip(*line, strict=True), marker="o", label=variant)
        axis.axhline(1, color="grey", linewidth=1)
        axis.set(title=f"{path} answer", xlabel="answer, tokens", xscale="log")
        lengths = sorted({row["new_tokens"] for row in rows})
        axis.set_xticks(lengths, map(str, lengths), minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("time, direct answer = 1")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)
