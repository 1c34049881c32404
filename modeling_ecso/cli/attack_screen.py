"""Runs `ecso attack`: every benchmark under every attack, then the table."""

import argparse
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..evaluation.attack import NONE
from ..evaluation.attack_table import (
    AttackCell,
    AttackRow,
    AttackTable,
    attack_table,
    headline,
)
from ..evaluation.attacks import get_attack
from ..evaluation.benchmarks import get_benchmark
from ..evaluation.eval_run import DIRECT, EvalRun
from . import terminal
from .eval_screen import made_runs
from .folders import writable_folder


def attack_all(
    each_chosen: list[argparse.Namespace], names: list[str], white_box_limit: int
) -> int:
    """Run the samples as they are and under each attack; returns the exit status.

    Args:
        each_chosen: The arguments of each benchmark, as `ecso eval` has them.
        names: The attacks.
        white_box_limit: Samples of each benchmark under attacks that need the weights.

    Raises:
        ECSOInputError: The data, the model or an attack cannot be used.
    """
    console = terminal.console()
    writable_folder(Path(each_chosen[0].log_dir), "--log-dir")
    white_box = [name for name in names if get_attack(name).is_white_box]
    # All in one run, so that they share batches; the few that take minutes in another.
    black_box = [NONE.name, *(name for name in names if name not in white_box)]
    runs: list[EvalRun] = []
    for chosen in each_chosen:
        arguments = {**vars(chosen), "attack": ",".join(black_box)}
        runs += made_runs(argparse.Namespace(**arguments), console)
        if white_box and get_benchmark(chosen.benchmark).measures == "safety":
            limit = min(white_box_limit, chosen.limit or white_box_limit)
            arguments |= {"attack": ",".join(white_box), "limit": limit}
            runs += made_runs(argparse.Namespace(**arguments), console)
    table = attack_table([run for run in runs if run.is_complete])
    if table:
        print_table(console, table)
    incomplete = [run for run in runs if not run.is_complete]
    for run in incomplete:
        left = run.asked - len(run.samples)
        console.print(Text(f"{left} of {run.asked} samples failed: see {run.file}", style="red"))
    if incomplete:
        console.print(Text("the same command with --resume asks only what is missing"))
    return 1 if incomplete else 0


def print_table(console: Console, table: AttackTable) -> None:
    """Print the worst case, then attack × variant; what the model does not perceive apart."""
    console.print()
    console.print(Text(headline(table), style="bold"))
    seen = [row for row in table.rows if row.is_perceived is not False]
    unseen = [row for row in table.rows if row.is_perceived is False]
    console.print(_as_table(table, seen, "attack"))
    if unseen:
        console.print(_as_table(table, unseen, "lost on the\ndirect answer too"))
    for line in (
        "harmless: of the harmful samples, percent; flagged: of the benign; times: of the draft",
        "attacks with * have the model's weights in hand, and are not in the worst case",
    ):
        console.print(Text(f"· {line}", style="dim"))


def _as_table(table: AttackTable, rows: list[AttackRow], title: str) -> Table:
    shown = Table(box=SIMPLE_HEAD)
    shown.add_column(title, overflow="fold", min_width=17)
    for variant in table.variants:
        shown.add_column(f"{variant}\nharmless", justify="right", no_wrap=True)
        if variant != DIRECT:
            shown.add_column("flagged", justify="right")
            shown.add_column("times", justify="right")
    for row in rows:
        cells = [text for v in table.variants for text in _cells(v, row.cells.get(v))]
        shown.add_row(f"{row.attack}{'*' if row.is_white_box else ''}", *cells)
    return shown


def _cells(variant: str, cell: AttackCell | None) -> list[str]:
    harmless = f"{cell.harmless.value:.1f}" if cell and cell.harmless else "-"
    if variant == DIRECT:
        return [harmless]
    flagged = f"{cell.flagged.value:.1f}" if cell and cell.flagged else "-"
    return [harmless, flagged, f"{cell.times:.1f}" if cell and cell.times else "-"]
