"""`ecso eval`: a benchmark from one command, directly and protected, with one table at the end."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError


BENCHMARKS = ("vlsafe", "mm_safetybench", "mme", "mmbench", "mmvet")

# MME is scored by rule alone.
_JUDGED = ("vlsafe", "mm_safetybench", "mmbench", "mmvet")
# Which benchmarks an option is for; an option of another is a mistake worth telling.
_OPTIONS = {
    "images": ("vlsafe", "mm_safetybench"),
    "kind": ("mm_safetybench",),
    "scenarios": ("mm_safetybench",),
    "prompt": ("mme",),
    "language": ("mmbench",),
    "split": ("mmbench",),
    "judge": _JUDGED,
    "judge_prompts": _JUDGED,
}
_RULES = "rules"


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "eval",
        help="run a benchmark of the paper",
        description="Run a benchmark of the paper, directly and protected, and compare.",
    )
    parser.add_argument("benchmark", choices=BENCHMARKS, metavar="BENCHMARK", help=_names())
    _add_what_to_run(parser)
    _add_variants(parser)
    _add_judge(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="a quick look at N questions")
    parser.add_argument(
        "--resume", action="store_true", help="finish what is begun in --log-dir, redo nothing"
    )
    parser.add_argument(
        "--log-dir", default="eval-logs", metavar="DIR", help="Inspect's logs (default: eval-logs)"
    )
    parser.add_argument(
        "--export", metavar="DIR", help="write files for the official evaluators there"
    )
    parser.add_argument(
        "--keep-drafts", action="store_true", help="keep unsafe drafts in logs and exports"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="answer so many together")
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the benchmark and print the table; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments or the data cannot be used.
    """
    _check(chosen)
    try:
        from ..evaluation.judge_prompts import read_judge_prompts
        from . import eval_screen
    except ModuleNotFoundError as error:
        raise ECSOInputError(
            f'{error.name} is not installed; run pip install "ecso-llava[eval]"'
        ) from None
    chosen.preset = list(dict.fromkeys(chosen.preset))
    chosen.kind = chosen.kind and list(dict.fromkeys(chosen.kind))
    try:
        if chosen.judge_prompts:
            read_judge_prompts(Path(chosen.judge_prompts))
        return eval_screen.evaluate(chosen)
    except KeyboardInterrupt:
        print("what is answered is kept: the same command with --resume goes on", file=sys.stderr)
        raise


def _check(chosen: argparse.Namespace) -> None:
    for option, benchmarks in _OPTIONS.items():
        is_set = getattr(chosen, option) not in (None, _RULES)
        if is_set and chosen.benchmark not in benchmarks:
            name = option.replace("_", "-")
            raise ECSOInputError(
                f"--{name} is for {', '.join(benchmarks)}, not for {chosen.benchmark}"
            )
    for option in ("limit", "batch_size"):
        value = getattr(chosen, option)
        if value is not None and value < 1:
            raise ECSOInputError(f"--{option.replace('_', '-')} is {value}; give a number from 1")
    if chosen.data is None and not chosen.score_again:
        raise ECSOInputError(
            "--data is missing; give the folder of the data or hub:OWNER/NAME@COMMIT"
        )
    if chosen.score_again:
        for option in ("limit", "direct", "preset"):
            if getattr(chosen, option):
                raise ECSOInputError(
                    f"--score-again judges whole logs, so it takes no --{option}; leave it out"
                )
    if chosen.compare and chosen.direct:
        raise ECSOInputError(
            "--compare runs direct and protected, --direct only direct; choose one"
        )
    if chosen.direct and chosen.preset:
        raise ECSOInputError("--direct runs no protocol, so it takes no --preset")
    if chosen.judge_prompts and not Path(chosen.judge_prompts).is_file():
        raise ECSOInputError(f"{chosen.judge_prompts}: no such file; give the published judge file")
    if chosen.judge_prompts and chosen.judge == _RULES:
        raise ECSOInputError("--judge-prompts is for a model that judges; name it with --judge")


def _add_what_to_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="folder of the downloaded data, or hub:OWNER/NAME@COMMIT"
    )
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="folder or Hub id; inspect:PROVIDER/NAME for any other (default: the embedded one)",
    )
    parser.add_argument("--images", metavar="DIR", help="images, where they are elsewhere")
    parser.add_argument(
        "--kind",
        nargs="+",
        choices=("SD", "TYPO", "SD_TYPO", "text"),
        help="image kinds of mm_safetybench (default: SD TYPO SD_TYPO)",
    )
    parser.add_argument(
        "--scenarios", metavar="LIST", help="scenarios of mm_safetybench, such as 1,2,9"
    )
    parser.add_argument(
        "--prompt", choices=("official", "llava"), help="questions of mme (default: official)"
    )
    parser.add_argument(
        "--language", choices=("en", "cn"), help="instruction of mmbench (default: en)"
    )
    parser.add_argument("--split", choices=("dev", "test"), help="split of an mmbench mirror")


def _add_variants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare", action="store_true", help="run direct as well, and set both side by side"
    )
    parser.add_argument("--direct", action="store_true", help="run direct only")
    parser.add_argument(
        "--preset",
        nargs="+",
        default=[],
        choices=("reference", "paper", "hardened", "utility-scripts"),
        help="presets to run (default: what the model stores); utility-scripts is reference with "
        "the image kept in the last step",
    )


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--judge",
        default=_RULES,
        metavar="MODEL",
        help="model that judges, as Inspect names it (default: rules, which need none)",
    )
    parser.add_argument("--judge-prompts", metavar="FILE", help="the published judge prompts")
    parser.add_argument(
        "--score-again", action="store_true", help="judge the answers in --log-dir once more"
    )


def _names() -> str:
    return f"one of {', '.join(BENCHMARKS)}"
