"""`ecso attack`: benchmarks under a suite of attacks, with one table."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError
from ..evaluation.benchmarks import get_benchmark, names_of
from .eval_options import add_what_to_run, check_attacks, check_options, check_servers, not_for


_PRESETS = ("reference", "paper", "hardened")


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "attack",
        help="run benchmarks under a suite of attacks",
        description="Run the samples of benchmarks as they are and under each attack, directly and "
        "protected, and set attack against preset. Name benchmarks that measure safety, and one "
        "with benign samples to see what is flagged of those.",
    )
    parser.add_argument(
        "benchmarks", nargs="*", metavar="BENCHMARK", help=f"some of {', '.join(names_of())}"
    )
    parser.add_argument("--list", action="store_true", help="tell the attacks there are, and end")
    parser.add_argument(
        "--attack",
        nargs="+",
        default=[],
        metavar="NAME",
        help="attacks to run (default: all that need no weights)",
    )
    parser.add_argument(
        "--white-box",
        action="store_true",
        help="run those that need the model's weights as well; each takes minutes",
    )
    parser.add_argument(
        "--white-box-limit",
        type=int,
        default=8,
        metavar="N",
        help="samples of each benchmark under those (default: 8)",
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        default=["paper", "hardened"],
        choices=_PRESETS,
        help="presets to attack (default: paper hardened)",
    )
    add_what_to_run(parser)
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the suite and print the table; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments or the data cannot be used.
    """
    from ..evaluation.attacks import suite

    if chosen.list:
        return _tell()
    names = list(dict.fromkeys(chosen.attack)) or list(suite())
    if chosen.white_box:
        names += [name for name in suite(white_box=True) if name not in names]
    check_attacks(names)
    check_servers(chosen)
    each_chosen = [_of(chosen, name) for name in _checked(chosen)]
    for each in each_chosen:
        check_options(each, get_benchmark(each.benchmark))
    try:
        from .attack_screen import attack_all
    except ModuleNotFoundError as error:
        raise ECSOInputError(
            f'{error.name} is not installed; run pip install "ecso-llava[eval]"'
        ) from None
    try:
        return attack_all(each_chosen, names, chosen.white_box_limit)
    except KeyboardInterrupt:
        print("what is answered is kept: the same command with --resume goes on", file=sys.stderr)
        raise


def _tell() -> int:
    from rich.table import Table

    from ..evaluation.attacks import all_attacks
    from .terminal import console

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for attack in all_attacks():
        table.add_row(attack.name, attack.family, attack.about)
    console().print(table)
    return 0


def _checked(chosen: argparse.Namespace) -> list[str]:
    """Return the benchmarks; raises ECSOInputError."""
    if not chosen.benchmarks:
        raise ECSOInputError(f"name a benchmark, one or more of {', '.join(names_of())}")
    for name in chosen.benchmarks:
        if name not in names_of():
            raise ECSOInputError(
                f"benchmark {name!r} is unknown; choose from {', '.join(names_of())}"
            )
    if not any(get_benchmark(name).measures == "safety" for name in chosen.benchmarks):
        raise ECSOInputError(
            "an attack is for harmful samples; name one of " + ", ".join(names_of("safety"))
        )
    for flag, value in (
        ("--limit", chosen.limit),
        ("--white-box-limit", chosen.white_box_limit),
        ("--batch-size", chosen.batch_size),
    ):
        if value is not None and value < 1:
            raise ECSOInputError(f"{flag} is {value}; give a number from 1")
    if chosen.data is None:
        raise ECSOInputError("--data is missing; give a folder with one for each benchmark")
    return list(dict.fromkeys(chosen.benchmarks))


def _of(chosen: argparse.Namespace, name: str) -> argparse.Namespace:
    """Return the arguments of one benchmark, as `ecso eval` has them."""
    benchmark = get_benchmark(name)
    below = Path(chosen.data).expanduser() / name
    return argparse.Namespace(
        **{
            **vars(chosen),
            **not_for(benchmark),
            "benchmark": name,
            "data": str(below) if below.is_dir() else chosen.data,
            "compare": True,
            "direct": False,
            "ecso_config": None,
            "keep_drafts": False,
            "attack": None,
        }
    )
