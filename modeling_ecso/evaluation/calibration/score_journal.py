"""The scores of a calibration so far, on disk as they come. Holds neither drafts nor queries."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...datagen.line_journal import LineJournal, writing
from ...datagen.pairs import ImageQueryPair
from .scores import DraftScore


class ScoreJournal:
    """The journal of `ecso calibrate`.

    Args:
        file: Where it is; made if it is not there yet.
        run: What makes the run what it is; a journal of another run is not continued.

    Raises:
        ECSOInputError: The file is of another run, no journal, or cannot be written.
    """

    def __init__(self, file: Path, run: dict[str, Any]):
        """Read what is there, and start the file if nothing is."""
        self._lines = LineJournal(file, run, "ecso calibrate")
        self._scores: dict[tuple[str, int], DraftScore] = {}
        try:
            for line in self._lines.found:
                kind, row = line.pop("kind"), line.pop("row")
                self._scores[kind, row] = DraftScore(**line)
        except (KeyError, TypeError, AttributeError):
            raise self._lines.is_none() from None

    def score_of(self, kind: str, pair: ImageQueryPair) -> DraftScore | None:
        """Return the score of a pair of a kind, benign or harmful; None: not drawn yet."""
        return self._scores.get((kind, pair.row))

    def add(self, kind: str, pair: ImageQueryPair, score: DraftScore) -> None:
        """Keep a score; raises ECSOInputError where the file cannot be written."""
        self._lines.add([{"kind": kind, "row": pair.row, **asdict(score)}])
        self._scores[kind, pair.row] = score

    def end(self) -> None:
        """Remove the file: what was found is written, and the next calibration is another one."""
        with writing(self._lines.file):
            self._lines.file.unlink()
