"""Answers pairs under protection, and of the unsafe ones keeps the answers that are judged safe."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from ..events_ecso import Trace
from .answering import Answering
from .journal import DatagenJournal, JournalEntry, PairStatus
from .line_journal import writing
from .pairs import ImageQueryPair


def answer_pairs(
    pairs: list[ImageQueryPair],
    images: Path,
    answering: Answering,
    journal: DatagenJournal,
    on_done: Callable[[int], None],
) -> str | None:
    """Answer what the journal does not have yet.

    Args:
        pairs: All pairs.
        images: Folder of the images.
        answering: Who answers, judges and describes.
        journal: Gets what becomes of each pair.
        on_done: Gets the number of pairs done, whenever there are more.

    Returns:
        Why pairs are left that may be asked again, if any are.

    Raises:
        ECSOError: The settings cannot be used, or a model server could not be asked.
    """
    waiting = [pair for pair in pairs if pair.row not in journal.entries]

    def keep(answered: list[tuple[ImageQueryPair, str, Trace | None]]) -> None:
        journal.add([_entry(*each) for each in answered])
        on_done(len(journal.entries))

    return answering.answer_all(waiting, images, keep)


def _entry(pair: ImageQueryPair, text: str, trace: Trace | None) -> JournalEntry:
    """Return what becomes of a pair; its answer counts only if it was judged, and judged safe."""
    if trace is None:  # answered without the protocol, so not judged
        return JournalEntry(pair.row, PairStatus.UNCLEAR)
    if trace.outcome == "direct":
        return JournalEntry(pair.row, PairStatus.HARMLESS)
    if trace.failed_step:
        return JournalEntry(pair.row, PairStatus.FAILED)
    if trace.outcome != "safe" or trace.safe_answer_verdict == "unsafe":
        return JournalEntry(pair.row, PairStatus.STILL_UNSAFE)
    if trace.safe_answer_verdict != "safe":
        return JournalEntry(pair.row, PairStatus.UNCLEAR)
    if not text:
        return JournalEntry(pair.row, PairStatus.EMPTY)
    return JournalEntry(pair.row, PairStatus.KEPT, text)


def write_conversations(file: Path, pairs: list[ImageQueryPair], journal: DatagenJournal) -> None:
    """Write the kept answers in LLaVA's conversation format, all at once.

    Args:
        file: A JSON list of objects with ``id``, ``image`` and ``conversations``.
        pairs: All pairs.
        journal: What became of them; some may not be in it yet.

    Raises:
        ECSOInputError: The file cannot be written.
    """
    conversations = [
        {
            "id": pair.identity,
            "image": Path(pair.image).as_posix(),
            "conversations": [
                {"from": "human", "value": f"<image>\n{pair.query}"},
                {"from": "gpt", "value": journal.entries[pair.row].answer},
            ],
        }
        for pair in pairs
        if pair.row in journal.entries and journal.entries[pair.row].status is PairStatus.KEPT
    ]
    unfinished = file.with_name(file.name + ".unfinished")
    text = json.dumps(conversations, indent=2, ensure_ascii=False) + "\n"
    with writing(file):
        unfinished.write_text(text, "utf-8")
        os.replace(unfinished, file)
