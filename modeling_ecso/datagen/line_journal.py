"""A file with one line for a run and one for each thing done in it.

A broken run continues where it was: a line that was begun and not finished does not count.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def digest_of(file: Path) -> str:
    """Return what tells the content of a file that a run reads from another; 64 digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class LineJournal:
    """What has been done, on disk before it counts.

    Args:
        file: Where it is; made if it is not there yet.
        run: What makes the run what it is; a journal of another run is not continued.
        command: Whose journal it is, for messages.

    Attributes:
        found: The lines of an earlier run, as they were added.

    Raises:
        ECSOInputError: The file is of another run, no journal, or cannot be written.
    """

    def __init__(self, file: Path, run: dict[str, Any], command: str):
        """Read what is there, and start the file if nothing is."""
        self.file = file
        self.found: list[dict[str, Any]] = []
        self._command = command
        with writing(file):
            lines = file.read_bytes().split(b"\n") if file.exists() else []
        # A line that the last run did not finish has no line end after it.
        whole = lines[:-1]
        if not whole:
            with writing(file):
                file.write_text(json.dumps(run) + "\n", "utf-8")
            return
        try:
            begun, *self.found = [json.loads(line) for line in whole]
        except ValueError:
            raise self.is_none() from None
        if not isinstance(begun, dict):
            raise self.is_none()
        if begun != run:
            different = sorted(key for key in run if begun.get(key) != run[key])
            raise ECSOInputError(
                f"{file}: of a run with another {' and '.join(different)}; move it away to start "
                "anew, or give another --out"
            )
        with writing(file):
            file.write_bytes(b"".join(line + b"\n" for line in whole))

    def add(self, entries: Sequence[dict[str, Any]]) -> None:
        """Write lines, to the disk.

        Raises:
            ECSOInputError: The file cannot be written.
        """
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        with writing(self.file), self.file.open("a", encoding="utf-8") as stream:
            stream.write(lines)
            stream.flush()
            os.fsync(stream.fileno())

    def is_none(self) -> ECSOInputError:
        """Return what to raise where a line is not one of the command's."""
        return ECSOInputError(f"{self.file}: not a journal of {self._command}; move it away")
