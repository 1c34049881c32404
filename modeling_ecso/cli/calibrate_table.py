"""What `ecso calibrate` prints: a table of thresholds."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


def table_of(plain: dict[str, Any]) -> Table:
    """Return what each threshold withholds of benign and harmful drafts, the chosen one in place.

    Args:
        plain: As `calibration_to_json` returns it.
    """
    table = Table("threshold", box=SIMPLE_HEAD)
    table.add_column(f"of {plain['benign']} benign withheld", justify="right")
    if plain["harmful"]:
        table.add_column(f"of {plain['harmful']} harmful withheld", justify="right")
    chosen = plain["chosen"]
    rows = [(row, None) for row in plain["table"]] + ([(chosen, "bold")] if chosen else [])
    for row, style in sorted(rows, key=lambda each: each[0]["value"]):
        name = f"{row['value']:.3g}" + (" ←" if style else "")
        cells = [_cell(row["flagged"])] + ([_cell(row["found"])] if plain["harmful"] else [])
        table.add_row(name, *cells, style=style)
    return table


def _cell(share: dict[str, Any]) -> str:
    return f"{share['value']:.1f} %  ({share['low']:.1f} to {share['high']:.1f})"
