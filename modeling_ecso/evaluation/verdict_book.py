"""Verdicts of a judge on the answers of one log, kept in a file as they come.

A judge behind an endpoint fails after an hour, or is stopped by hand. What it said by then was paid
for; judging once more takes it from the file, and asks about the rest.

    {"judge": "openai/gpt-4o", "prompts": "9f2c…"}            whose verdicts, by which prompts
    {"id": "12", "epoch": 1, "score": {"value": 1.0, …}}      one line for each answer

Covered: a line that was cut off while it was written is left out, and its answer judged again.
Not covered: two processes that judge the same log at the same time.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from inspect_ai.scorer import Score


class VerdictBook:
    """The verdicts on one log.

    Args:
        file: Where they are kept; made with the first of them.
        judge: Who gives them.
        prompts: The published judge file; None: this project's prompts.

    Attributes:
        taken_over: Number of verdicts that the file had.
        failures: The names of the exceptions that the judge failed with, and how often.
    """

    def __init__(self, file: Path, judge: str, prompts: str | None):
        """Read what is there; the file of another judge, or of other prompts, is begun anew."""
        self.failures: Counter[str] = Counter()
        self._file = file
        digest = hashlib.sha256(Path(prompts).read_bytes()).hexdigest() if prompts else ""
        self._head = {"judge": judge, "prompts": digest}
        self._scores = self._read()
        self.taken_over = len(self._scores)

    def known(self, sample: str, epoch: int) -> Score | None:
        """Return the verdict on a sample; None where there is none."""
        return self._scores.get((sample, epoch))

    def keep(self, sample: str, epoch: int, score: Score) -> None:
        """Keep a verdict, in the file as well."""
        lines: list[dict[str, Any]] = [] if self._scores else [self._head]
        lines.append({"id": sample, "epoch": epoch, "score": score.model_dump(mode="json")})
        with self._file.open("a" if self._scores else "w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(line)}\n" for line in lines)
        self._scores[sample, epoch] = score

    def close(self) -> None:
        """Remove the file: all verdicts are in a log."""
        self._file.unlink(missing_ok=True)

    def _read(self) -> dict[tuple[str, int], Score]:
        if not self._file.exists():
            return {}
        text = self._file.read_text("utf-8", errors="replace")
        lines = list(filter(None, map(_parsed, text.splitlines())))
        if not lines or lines[0] != self._head:
            return {}
        if not text.endswith("\n"):  # else the next verdict would stand behind half a line
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write("\n")
        return {(each["id"], each["epoch"]): Score(**each["score"]) for each in lines[1:]}


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


_open: ContextVar[VerdictBook | None] = ContextVar("open verdict book", default=None)


@contextmanager
def keeping_verdicts(book: VerdictBook) -> Iterator[None]:
    """Let scorers keep what the judge says while the context lasts."""
    token = _open.set(book)
    try:
        yield
    finally:
        _open.reset(token)


def open_book() -> VerdictBook | None:
    """Return the book that verdicts are to be kept in; None: none."""
    return _open.get()
