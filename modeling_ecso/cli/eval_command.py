"""`ecso eval`: a benchmark from one command, directly and protected, with one table at the end."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError
from ..evaluation.benchmark import Benchmark
from ..evaluation.benchmarks import all_benchmarks, get_benchmark, listed, names_of
from ..evaluation.source import DataSource
from .eval_options import (
    RULES,
    add_what_to_run,
    check_attacks,
    check_options,
    check_servers,
    flag_of,
    not_for,
)


ALL = "all"
_PRESETS = ("reference", "paper", "hardened", "utility-scripts")
_TAKEN_NAMES = (*_PRESETS, "direct", "protected")
# What is of no use where nothing is asked of the model.
_OF_RUNS = ("limit", "upstream", "direct", "preset", "ecso_config", "attack", "estimate")


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "eval",
        help="run a benchmark, or all",
        description="Run a benchmark, directly and protected, and compare.",
    )
    names = names_of()
    parser.add_argument(
        "benchmark",
        choices=(*names, ALL),
        metavar="BENCHMARK",
        help=f"one of {', '.join(names)}; {ALL}: each that has a folder of its name in --data, "
        "with those of the options that it takes",
    )
    add_what_to_run(parser)
    _add_variants(parser)
    parser.add_argument(
        "--score-again",
        action="store_true",
        help="judge the answers in --log-dir once more; verdicts are kept as they come, so the "
        "same command goes on where a judge failed",
    )
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="tell how many GPU hours the runs would take, and end",
    )
    parser.add_argument(
        "--attack",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run the samples under these attacks; ecso attack --list tells them",
    )
    parser.add_argument(
        "--export", metavar="DIR", help="write files for the official evaluators there"
    )
    parser.add_argument(
        "--keep-drafts",
        action="store_true",
        help="keep unsafe drafts and captions in logs and exports",
    )
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the benchmarks and print a table for each; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments or the data cannot be used.
    """
    each_chosen = _each_of_all(chosen) if chosen.benchmark == ALL else [chosen]
    for each in each_chosen:
        _check(each)
    each_chosen = [
        argparse.Namespace(**{**vars(each), "attack": attack})
        for each in each_chosen
        for attack in dict.fromkeys(chosen.attack) or [None]
    ]
    try:
        from ..evaluation.judge_prompts import read_judge_prompts
        from . import eval_screen
    except ModuleNotFoundError as error:
        raise ECSOInputError(
            f'{error.name} is not installed; run pip install "ecso-llava[eval]"'
        ) from None
    try:
        if chosen.judge_prompts:
            read_judge_prompts(Path(chosen.judge_prompts))
        if chosen.estimate:
            from .estimate_screen import tell_estimate

            return tell_estimate(each_chosen)
        return max([eval_screen.evaluate(each) for each in each_chosen])
    except KeyboardInterrupt:
        print("what is answered is kept: the same command with --resume goes on", file=sys.stderr)
        raise


def _each_of_all(chosen: argparse.Namespace) -> list[argparse.Namespace]:
    """Return the arguments of each benchmark that has a folder in the data.

    Raises:
        ECSOInputError: There is none, or an option is for one benchmark alone.
    """
    if chosen.score_again:
        raise ECSOInputError("--score-again is for one benchmark; name it")
    if chosen.data is None or not Path(chosen.data).expanduser().is_dir():
        raise ECSOInputError(
            f"--data is {chosen.data or 'missing'}; for {ALL} of them give a folder with one for "
            f"each, named {listed(names_of())}"
        )
    found = [
        (benchmark, folder)
        for benchmark in all_benchmarks()
        if (folder := Path(chosen.data).expanduser() / benchmark.name).is_dir()
    ]
    if not found:
        raise ECSOInputError(
            f"{chosen.data}: no folder of a benchmark in it; name them {listed(names_of())}"
        )
    return [
        argparse.Namespace(**{**vars(chosen), **not_for(benchmark), **_place(benchmark, folder)})
        # Safety last: its tables show what the same model does on benign samples.
        for benchmark, folder in sorted(found, key=lambda pair: pair[0].measures == "safety")
    ]


def _place(benchmark: Benchmark, folder: Path) -> dict[str, str]:
    return {"benchmark": benchmark.name, "data": str(folder)}


def _check(chosen: argparse.Namespace) -> None:
    check_attacks(chosen.attack)
    check_servers(chosen)
    check_options(chosen, get_benchmark(chosen.benchmark))
    for option in ("limit", "batch_size", "judge_connections"):
        value = getattr(chosen, option)
        if value is not None and value < 1:
            raise ECSOInputError(f"{flag_of(option)} is {value}; give a number from 1")
    if chosen.data is None and not chosen.score_again:
        raise ECSOInputError(
            "--data is missing; give the folder of the data or hub:OWNER/NAME@COMMIT"
        )
    if chosen.data is not None:
        DataSource.parse(chosen.data)  # before a model is loaded
    if chosen.score_again:
        for option in _OF_RUNS:
            if getattr(chosen, option):
                raise ECSOInputError(
                    f"--score-again judges whole logs, so it takes no {flag_of(option)}; "
                    "leave it out"
                )
    if chosen.compare and chosen.direct:
        raise ECSOInputError(
            "--compare runs direct and protected, --direct only direct; choose one"
        )
    if chosen.direct and (chosen.preset or chosen.ecso_config):
        raise ECSOInputError(
            "--direct runs no protocol, so it takes no --preset and no --ecso-config"
        )
    if chosen.ecso_config and (name := Path(chosen.ecso_config).stem) in _TAKEN_NAMES:
        raise ECSOInputError(
            f"--ecso-config {chosen.ecso_config}: a run would be called {name}, as others are; "
            "give the file another name"
        )
    if chosen.judge_prompts and not Path(chosen.judge_prompts).is_file():
        raise ECSOInputError(f"{chosen.judge_prompts}: no such file; give the published judge file")
    if chosen.judge_prompts and chosen.judge == RULES:
        raise ECSOInputError("--judge-prompts is for a model that judges; name it with --judge")


def _add_variants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare", action="store_true", help="run direct as well, and set both side by side"
    )
    parser.add_argument("--direct", action="store_true", help="run direct only")
    parser.add_argument(
        "--preset",
        nargs="+",
        default=[],
        choices=_PRESETS,
        help="presets to run (default: what the model stores); utility-scripts is reference with "
        "the image kept in the last step",
    )
    parser.add_argument(
        "--ecso-config",
        metavar="FILE",
        help="settings of the protocol to run, such as ecso calibrate writes; the run is named "
        "after the file",
    )
