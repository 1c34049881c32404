"""What has been answered so far, on disk after each batch, so that a broken run continues.

Never holds a draft: only what became of each pair, and the answers that were kept.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Name a place that cannot be written.

    Raises:
        ECSOInputError: In place of OSError.
    """
    try:
        yield
    except OSError as error:
        raise ECSOInputError(
            f"{file}: cannot be written ({error.strerror}); make room for it, or give another --out"
        ) from None


class PairStatus(StrEnum):
    """What became of a pair."""

    KEPT = "kept"
    HARMLESS = "harmless"
    STILL_UNSAFE = "still unsafe"
    UNCLEAR = "unclear"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True, repr=False)
class JournalEntry:
    """What became of one pair. Has no repr: it holds an answer.

    Args:
        row: The pair's row.
        status: What became of it.
        answer: The safe answer, for a pair that was kept; else None.
    """

    row: int
    status: PairStatus
    answer: str | None = None


class DatagenJournal:
    """A file with one line for the run and one for each pair that is done.

    Args:
        file: Where it is; made if it is not there yet.
        run: What makes the run what it is; a journal of another run is not continued.

    Raises:
        ECSOInputError: The file is of another run, no journal, or cannot be written.
    """

    def __init__(self, file: Path, run: dict[str, Any]):
        """Read what is there, and start the file if nothing is."""
        self._file = file
        self.entries: dict[int, JournalEntry] = {}
        with writing(file):
            lines = file.read_bytes().split(b"\n") if file.exists() else []
        # A line that the last run did not finish has no line end after it.
        whole = lines[:-1]
        if not whole:
            with writing(file):
                file.write_text(json.dumps(run) + "\n", "utf-8")
            return
        try:
            found, *rest = [json.loads(line) for line in whole]
            if not isinstance(found, dict):
                raise TypeError
            for entry in rest:
                self.entries[entry["row"]] = JournalEntry(
                    entry["row"], PairStatus(entry["status"]), entry["answer"]
                )
        except (ValueError, KeyError, TypeError):
            raise ECSOInputError(f"{file}: not a journal of ecso datagen; move it away") from None
        if found != run:
            different = sorted(key for key in run if found.get(key) != run[key])
            raise ECSOInputError(
                f"{file}: of a run with another {' and '.join(different)}; move it away to start "
                "anew, or give another --out"
            )
        with writing(file):
            file.write_bytes(b"".join(line + b"\n" for line in whole))

    def add(self, entries: list[JournalEntry]) -> None:
        """Keep what became of a batch.

        Raises:
            ECSOInputError: The file cannot be written.
        """
        lines = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries)
        with writing(self._file), self._file.open("a", encoding="utf-8") as stream:
            stream.write(lines)
            stream.flush()
            os.fsync(stream.fileno())
        self.entries.update({entry.row: entry for entry in entries})
