"""Answers pairs under protection, and of the unsafe ones keeps the answers that are judged safe."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..loading.images import open_image
from ..loading.models import LoadedModel, ModelAnswer
from .journal import DatagenJournal, JournalEntry, PairStatus, writing
from .pairs import ImageQueryPair


# Whatever the preset: the safe answer is judged, the image stays out of it, and no draft is kept.
FIXED_ECSO_CONFIG = {
    "enabled": True,
    "judge_safe_answer": True,
    "image_in_safe_step": False,
    "on_error": "refuse",
    "keep_draft": False,
}


def answer_pairs(
    pairs: list[ImageQueryPair],
    images: Path,
    loaded: LoadedModel,
    journal: DatagenJournal,
    ecso_config: dict[str, Any],
    max_new_tokens: int,
    batch_size: int,
) -> Iterator[int]:
    """Answer what the journal does not have yet; yields the number of pairs done after each batch.

    Args:
        pairs: All pairs.
        images: Folder of the images.
        loaded: The model that answers, judges and describes.
        journal: Gets what becomes of each pair.
        ecso_config: Settings on top of the stored ones.
        max_new_tokens: Token limit of an answer.
        batch_size: Pairs in a batch.

    Raises:
        ECSOInputError: The settings cannot be used.
    """
    waiting = [pair for pair in pairs if pair.row not in journal.entries]
    for start in range(0, len(waiting), batch_size):
        batch = waiting[start : start + batch_size]
        journal.add(_answer(batch, images, loaded, ecso_config, max_new_tokens))
        yield len(journal.entries)


def _answer(
    pairs: list[ImageQueryPair],
    images: Path,
    loaded: LoadedModel,
    ecso_config: dict[str, Any],
    max_new_tokens: int,
) -> list[JournalEntry]:
    answers = loaded.answers(
        [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": pair.query}]}]
            for pair in pairs
        ],
        [open_image(str(images / pair.image)) for pair in pairs],
        ecso={**ecso_config, **FIXED_ECSO_CONFIG},
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )
    return [_entry(pair, answer) for pair, answer in zip(pairs, answers, strict=True)]


def _entry(pair: ImageQueryPair, answer: ModelAnswer) -> JournalEntry:
    """Return what becomes of a pair; its answer counts only if it was judged, and judged safe."""
    trace = answer.trace
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
    if not answer.text:
        return JournalEntry(pair.row, PairStatus.EMPTY)
    return JournalEntry(pair.row, PairStatus.KEPT, answer.text)


def write_conversations(file: Path, pairs: list[ImageQueryPair], journal: DatagenJournal) -> None:
    """Write the kept answers in LLaVA's conversation format, all at once.

    Args:
        file: A JSON list of objects with ``id``, ``image`` and ``conversations``.
        pairs: All pairs.
        journal: What became of them.

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
        if journal.entries[pair.row].status is PairStatus.KEPT
    ]
    unfinished = file.with_name(file.name + ".unfinished")
    text = json.dumps(conversations, indent=2, ensure_ascii=False) + "\n"
    with writing(file):
        unfinished.write_text(text, "utf-8")
        os.replace(unfinished, file)
