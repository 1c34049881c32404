"""`ecso calibrate`: the threshold that keeps false alarms within a budget, and what it finds."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError
from .model_options import add_upstream_option, check_counts, check_preset
from .terminal import console, loading


_MOST_PERCENT = 50
# Answers asked one at a time, to see what those cost that are withheld.
_PRICED = 8


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "calibrate",
        help="find the threshold that fits your traffic",
        description="Draw each draft once, read p(unsafe), and find the threshold that keeps "
        "false alarms within a budget. Writes ecso_config.json, which --ecso-config, recipes and "
        "ecso= take, and calibration.json, which ecso report shows. A run that breaks is continued "
        "by the same command.",
    )
    pairs = "JSON lines or a JSON list of objects with image, query and perhaps id"
    parser.add_argument(
        "--benign", required=True, type=Path, metavar="FILE", help=f"benign pairs: {pairs}"
    )
    parser.add_argument("--harmful", type=Path, metavar="FILE", help="harmful pairs, alike")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="the images (default: the folder of each file)"
    )
    parser.add_argument(
        "--max-flagged",
        default="1%",
        metavar="PERCENT",
        help="most benign drafts that may be withheld (default: 1%%)",
    )
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="folder or Hub id (default: the embedded one); with --upstream its name there",
    )
    add_upstream_option(parser)
    parser.add_argument(
        "--preset",
        default="hardened",
        metavar="NAME",
        help="the preset to calibrate (default: hardened)",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=256, metavar="N", help="answer limit (default: 256)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=16,
        metavar="N",
        help="drafts at a time, at each server (default: 16)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("calibration"),
        metavar="DIR",
        help="folder to write into (default: calibration)",
    )
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Calibrate, print and write; returns the exit status, 1 where no threshold keeps the budget.

    Raises:
        ECSOInputError: Something in the arguments, the files or the model cannot be used.
    """
    from ..evaluation.calibration.calibration import (
        calibrated,
        calibration_to_json,
        withheld_price,
    )
    from ..settings_ecso import ECSOConfig

    budget = _budget(chosen.max_flagged)
    _check(chosen)
    ecso_config = ECSOConfig.from_preset(chosen.preset)
    benign = _pairs(chosen.benign, chosen.images)
    harmful = _pairs(chosen.harmful, chosen.images) if chosen.harmful else None
    name, drawing = _drawing(chosen)
    journal = _journal(chosen, name)
    low = _scores(drawing, benign, ecso_config, "benign", journal)
    high = _scores(drawing, harmful, ecso_config, "harmful", journal) if harmful else []
    found = calibrated(name, chosen.preset, budget, low, high, drawing.content_free(ecso_config))
    changes = found.ecso_config()
    if changes is not None:
        source, scores = (harmful, high) if harmful else (benign, low)
        withheld = _withheld(source, scores, changes["unsafe_threshold"])
        traces = drawing.traces(withheld, ecso_config.updated(changes)) if withheld.pairs else []
        found = found.with_price(withheld_price(found.price, traces))
    plain = calibration_to_json(found)
    files = _write(chosen.out, plain)
    journal.end()
    _print(plain, files)
    return 0 if changes is not None else 1


def _budget(text: str) -> float:
    try:
        budget = float(text.strip().removesuffix("%"))
    except ValueError:
        budget = 0.0
    if not 0 < budget <= _MOST_PERCENT:
        raise ECSOInputError(
            f"--max-flagged is {text}; give percent above 0, at most {_MOST_PERCENT}, such as 1%"
        )
    return budget


def _check(chosen: argparse.Namespace) -> None:
    from .folders import writable_folder

    check_counts(chosen)
    check_preset(chosen.preset)
    if chosen.upstream and not chosen.model:
        raise ECSOInputError("--upstream needs --model, the model's name there")
    writable_folder(chosen.out, "--out")


def _pairs(file: Path, images: Path | None) -> Any:
    from ..datagen.pairs import read_pairs
    from ..evaluation.calibration.drawing import PairSource

    folder = images or file.parent
    return PairSource(read_pairs(file, folder), folder)


def _drawing(chosen: argparse.Namespace) -> tuple[str, Any]:
    """Return the model's name and what draws its drafts."""
    from ..evaluation.calibration.drawing import LocalDrawing, ServerDrawing

    if not chosen.upstream:
        from ..loading.models import load_model

        with loading(chosen.model):
            loaded = load_model(chosen.model)
        return loaded.name, LocalDrawing(loaded, chosen.max_new_tokens, chosen.batch_size)
    from ..endpoint.server_pool import pool_of

    connect = pool_of(chosen.upstream, chosen.model)
    return chosen.model, ServerDrawing(connect, chosen.max_new_tokens, chosen.batch_size)


def _journal(chosen: argparse.Namespace, name: str) -> Any:
    """Return what keeps the scores of a calibration until it is whole."""
    from ..datagen.line_journal import digest_of
    from ..evaluation.calibration.score_journal import ScoreJournal

    run = {
        "benign": digest_of(chosen.benign),
        "harmful": digest_of(chosen.harmful) if chosen.harmful else None,
        "images": chosen.images and str(chosen.images.resolve()),
        "model": name,
        "preset": chosen.preset,
        "max_new_tokens": chosen.max_new_tokens,
    }
    return ScoreJournal(chosen.out / "calibration.journal", run)


def _scores(drawing: Any, source: Any, ecso_config: Any, kind: str, journal: Any) -> list[Any]:
    """Draw what the journal does not have, with a progress bar on standard error."""
    from dataclasses import replace

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), f"{kind} drafts", TimeRemainingColumn())
    with Progress(*columns, console=console(to_stderr=True), transient=True) as progress:
        waiting = [pair for pair in source.pairs if journal.score_of(kind, pair) is None]
        drawn = len(source.pairs) - len(waiting)
        bar = progress.add_task("", total=len(source.pairs), completed=drawn)

        def keep(pair: Any, score: Any) -> None:
            journal.add(kind, pair, score)
            progress.advance(bar)

        if waiting:
            drawing.scores(replace(source, pairs=waiting), ecso_config, keep)
    return [journal.score_of(kind, pair) for pair in source.pairs]


def _withheld(source: Any, scores: list[Any], threshold: float) -> Any:
    """Return the first few pairs whose draft is withheld at a threshold."""
    from dataclasses import replace

    pairs = [
        pair for pair, score in zip(source.pairs, scores, strict=True) if score.score >= threshold
    ]
    return replace(source, pairs=pairs[:_PRICED])


def _write(folder: Path, plain: dict[str, Any]) -> list[Path]:
    """Write what was found; the plot where there is a library that draws."""
    from ..evaluation.calibration.stored import NAME

    files = {folder / NAME: plain}
    if plain["ecso_config"] is not None:
        files[folder / "ecso_config.json"] = plain["ecso_config"]
    else:  # those of an earlier call would pass for these
        (folder / "ecso_config.json").unlink(missing_ok=True)
    for file, content in files.items():
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    try:
        from ..evaluation.calibration.plots import curve_plot

        plot = curve_plot(plain)
    except ModuleNotFoundError:
        return list(files)
    if plot is None:
        return list(files)
    picture = folder / f"{plot.name}.png"
    picture.write_bytes(plot.light)
    return [*files, picture]


def _print(plain: dict[str, Any], files: list[Path]) -> None:
    from rich.text import Text

    from ..evaluation.calibration.facts import facts_of
    from .calibrate_table import table_of

    screen = console()
    screen.print(table_of(plain))
    for fact in facts_of(plain):
        screen.print(Text(f"· {fact}", style="dim"))
    screen.print(Text(plain["advice"], style="bold"))
    for file in files:
        screen.print(Text(str(file)), soft_wrap=True)
