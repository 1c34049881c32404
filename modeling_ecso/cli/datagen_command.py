"""`ecso datagen`: fine-tuning data from pairs that the model answers unsafely."""

import argparse
from pathlib import Path
from typing import Any

from ..endpoint.model_server import ModelServerError
from ..errors_ecso import ECSOError, ECSOInputError
from ..loading.models import load_model
from .model_options import add_model_options, add_upstream_option, check_counts, chosen_changes
from .terminal import console, loading, print_error


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "datagen",
        help="turn unsafe pairs into fine-tuning data",
        description="Answer pairs of image and query under protection and write, of those whose "
        "draft is judged unsafe, the safe answers in LLaVA's conversation format. Only answers "
        "that are judged safe are written. A run that breaks is continued by the same command.",
    )
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="the images")
    parser.add_argument(
        "--queries",
        required=True,
        type=Path,
        metavar="FILE",
        help="JSON lines or a JSON list of objects with image, query and perhaps id",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="JSON to write")
    add_model_options(parser)
    add_upstream_option(parser)
    parser.add_argument(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="pairs at a time, at each server (default: 8)",
    )
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Answer all pairs and write what is kept; returns the exit status, 1 where pairs are left.

    Raises:
        ECSOInputError: Something in the arguments or the files cannot be used.
        ECSOError: No server answers any more.
    """
    from ..datagen.journal import DatagenJournal
    from ..datagen.line_journal import digest_of
    from ..datagen.pairs import read_pairs

    _check(chosen)
    pairs = read_pairs(chosen.queries, chosen.images)
    answering = _answering(chosen)
    for pair in pairs:
        try:
            answering.check(pair)
        except ECSOInputError as error:
            raise ECSOInputError(f"{chosen.queries}, row {pair.row}: {error}") from None
    journal_file = chosen.out.with_name(chosen.out.name + ".journal")
    if chosen.out.exists() and not journal_file.exists():
        raise ECSOInputError(f"{chosen.out}: is there already; move it away, or give another --out")
    journal = DatagenJournal(
        journal_file,
        {
            "queries": digest_of(chosen.queries),
            "images": str(chosen.images.resolve()),
            "model": answering.name,
            "preset": chosen.preset,
            **({"ecso_config": chosen_changes(chosen)} if chosen.ecso_config else {}),
            "max_new_tokens": chosen.max_new_tokens,
        },
    )
    try:
        why_left = _answer_all(chosen, pairs, answering, journal)
    except ModelServerError as error:
        raise ECSOError(f"{error}; {_left(pairs, journal)}") from None
    _print_summary(chosen, pairs, journal)
    if why_left:
        print_error("ecso", f"{why_left}; {_left(pairs, journal)}")
    return 1 if why_left else 0


def _left(pairs: list[Any], journal: Any) -> str:
    left = len(pairs) - len(journal.entries)
    return f"{left} of {len(pairs)} pairs are left; the same command asks them again"


def _check(chosen: argparse.Namespace) -> None:
    from ..datagen.line_journal import writing

    check_counts(chosen)
    chosen_changes(chosen)
    if chosen.upstream and not chosen.model:
        raise ECSOInputError("--upstream needs --model, the model's name there")
    with writing(chosen.out):
        if not chosen.out.parent.is_dir():
            raise ECSOInputError(
                f"{chosen.out.parent}: no such folder to write into; make it first"
            )
        if chosen.out.is_dir():
            raise ECSOInputError(f"{chosen.out}: is a folder; give the file to write")


def _answering(chosen: argparse.Namespace) -> Any:
    """Return who answers: the model that is named, here or on the servers."""
    from ..datagen.answering import LocalAnswering, ServerAnswering

    changes = chosen_changes(chosen)
    limits = chosen.max_new_tokens, chosen.batch_size
    if not chosen.upstream:
        with loading(chosen.model):
            loaded = load_model(chosen.model)
        return LocalAnswering(loaded, changes, *limits)
    from ..endpoint.server_pool import pool_of
    from ..settings_ecso import ECSOConfig

    connect = pool_of(chosen.upstream, chosen.model)
    ecso_config = ECSOConfig.from_preset("paper").updated(changes)
    return ServerAnswering(chosen.model, connect, ecso_config, *limits)


def _answer_all(
    chosen: argparse.Namespace, pairs: list[Any], answering: Any, journal: Any
) -> str | None:
    """Answer what is still to be answered, with a progress bar on standard error.

    Returns:
        Why pairs are left, if any are.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..datagen.engine import answer_pairs, write_conversations

    columns = (BarColumn(), MofNCompleteColumn(), "pairs", TimeRemainingColumn())
    with Progress(*columns, console=console(to_stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(pairs), completed=len(journal.entries))
        why_left = answer_pairs(
            pairs,
            chosen.images,
            answering,
            journal,
            lambda done: progress.update(bar, completed=done),
        )
    write_conversations(chosen.out, pairs, journal)
    return why_left


def _print_summary(chosen: argparse.Namespace, pairs: list[Any], journal: Any) -> None:
    from collections import Counter

    from rich.text import Text

    from ..datagen.journal import PairStatus

    counts = Counter(entry.status for entry in journal.entries.values())
    reasons = {
        PairStatus.STILL_UNSAFE: "dropped: the safe answer was judged unsafe as well",
        PairStatus.UNCLEAR: "dropped: the verdict on the safe answer was unclear",
        PairStatus.EMPTY: "dropped: the safe answer was empty",
        PairStatus.FAILED: "dropped: a step could not be run",
    }
    screen = console()
    asked = counts.total()
    lines = [
        (asked, "pairs asked"),
        (counts[PairStatus.HARMLESS], "draft judged harmless, nothing to learn from"),
        (asked - counts[PairStatus.HARMLESS], "draft withheld"),
        *((counts[status], f"  {reason}") for status, reason in reasons.items() if counts[status]),
        (counts[PairStatus.KEPT], f"  kept in {chosen.out}"),
    ]
    for count, said in lines:
        # Text, since a folder's name may hold brackets, which are markup to a plain string.
        screen.print(Text(f"{count:>7}  {said}"), soft_wrap=True)
