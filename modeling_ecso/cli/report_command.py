"""`ecso report`: the logs of `ecso eval` → one page, plots, and JSON."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError
from .terminal import at_work, one_line, printable


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "report",
        help="write a page from the logs of ecso eval",
        description="Write a page with tables and plots, and JSON, from the logs of ecso eval.",
    )
    parser.add_argument("logs", metavar="LOGS", help="the --log-dir of ecso eval")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write into")
    parser.add_argument("--model", metavar="DIR_OR_ID", help="which model, as for ecso eval")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="the --out of ecso calibrate, to be shown as well",
    )
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the report and say where; returns the exit status.

    Raises:
        ECSOInputError: The logs cannot be used, or nothing can be written there.
    """
    try:
        from ..evaluation.agreement import agreements
        from ..evaluation.attack_table import attack_table
        from ..evaluation.calibration.stored import read_calibration
        from ..evaluation.report import write_report
        from ..evaluation.side_by_side import attacked_runs, judged_runs, read_runs

        with at_work("reading the logs"):
            runs = read_runs(Path(chosen.logs), chosen.model, _tell)
        calibration = read_calibration(chosen.calibration) if chosen.calibration else None
        attacks = attack_table(attacked_runs(Path(chosen.logs), runs[0].model))
        judges = agreements(judged_runs(Path(chosen.logs), runs[0].model))
        with at_work("writing the page"):
            report = write_report(runs, Path(chosen.out), calibration, attacks, judges)
    except ModuleNotFoundError as error:
        raise ECSOInputError(
            f'{error.name} is not installed; run pip install "ecso-llava[eval]"'
        ) from None
    except OSError as error:
        raise ECSOInputError(
            f"{chosen.out}: cannot be written to ({type(error).__name__})"
        ) from None
    for file in (report.page, report.summary, report.figures, report.card, *report.plots):
        print(printable(str(file)))
    return 0


def _tell(benchmark: str, line: str) -> None:
    print(one_line(line), file=sys.stderr)
