"""What became of each pair so far, on disk after each batch.

Never holds a draft: only what became of each pair, and the answers that were kept.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .line_journal import LineJournal


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
    """The journal of `ecso datagen`. What failed in an earlier run counts as not asked.

    Args:
        file: Where it is; made if it is not there yet.
        run: What makes the run what it is; a journal of another run is not continued.

    Raises:
        ECSOInputError: The file is of another run, no journal, or cannot be written.
    """

    def __init__(self, file: Path, run: dict[str, Any]):
        """Read what is there, and start the file if nothing is."""
        self._lines = LineJournal(file, run, "ecso datagen")
        self.entries: dict[int, JournalEntry] = {}
        try:
            for line in self._lines.found:
                status = PairStatus(line["status"])
                if status is not PairStatus.FAILED:
                    self.entries[line["row"]] = JournalEntry(line["row"], status, line["answer"])
        except (ValueError, KeyError, TypeError):
            raise self._lines.is_none() from None

    def add(self, entries: list[JournalEntry]) -> None:
        """Keep what became of a batch.

        Raises:
            ECSOInputError: The file cannot be written.
        """
        self._lines.add([asdict(entry) for entry in entries])
        self.entries.update({entry.row: entry for entry in entries})
