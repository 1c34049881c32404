"""What keeps a long measurement from being lost: results on disk, a clock, a gentle stop."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


# All variants of a cell together, as a multiple of the direct answer: about what they are at the
# geometry of LLaVA-1.5.
TIMES_DIRECT = {"benign": 8.0, "flagged": 17.0, "mixed": 14.0}


class Kept:
    """The rows measured so far, written whenever a cell is complete.

    Args:
        file: Where they are.
        shape: The shape that is measured.
        rounds: Rounds of each cell.
        resume: Whether what the file holds counts; otherwise it is overwritten.
    """

    def __init__(self, file: Path, shape: str, rounds: int, resume: bool):
        """Read what is there."""
        self._file, self._shape = file, shape
        stored = json.loads(file.read_text("utf-8")) if resume and file.exists() else []
        same = {"shape": shape, "rounds": rounds}
        self.rows: list[dict] = [row for row in stored if same.items() <= row.items()]

    def has(self, cell: Any) -> bool:
        """Return whether a cell was measured."""
        return _key(cell) in {_key_of(row) for row in self.rows}

    def add(self, cell: Any, rows: list[dict]) -> None:
        """Keep the rows of a cell."""
        self.rows += [{"shape": self._shape, **row} for row in rows]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(self.rows, indent=1) + "\n", "utf-8")
        unfinished.replace(self._file)


def _key(cell: Any) -> tuple:
    return cell.path, cell.preset, cell.job.new_tokens, cell.batch


def _key_of(row: dict) -> tuple:
    return row["path"], row["preset"], row["new_tokens"], row["batch"]


class Clock:
    """Says how long the cells will take: first from direct answers, then from what cells took.

    Args:
        answer: Answers a job directly.
        cells: What is to be measured.
        rounds: Rounds of each cell.
    """

    def __init__(self, answer: Callable[[Any], Any], cells: list[Any], rounds: float):
        """Time a direct answer for each kind of job."""
        direct_s: dict[Any, float] = {}
        for job in {cell.job for cell in cells}:
            started = time.perf_counter()
            answer(job)
            direct_s[job] = time.perf_counter() - started
        self._expected_s = {
            _key(cell): direct_s[cell.job] * TIMES_DIRECT[cell.path] * rounds for cell in cells
        }
        self._done_s = 0.0
        self._started = time.perf_counter()

    def done(self, cell: Any) -> None:
        """Take note that a cell is measured."""
        self._done_s += self._expected_s.pop(_key(cell))

    def left(self) -> str:
        """Return how long the rest will take, in words."""
        seconds = sum(self._expected_s.values()) * self._pace()
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

    def is_over(self, cell: Any, minutes: float | None) -> bool:
        """Return whether a cell would end beyond a limit."""
        if minutes is None:
            return False
        cell_s = self._expected_s[_key(cell)] * self._pace()
        return time.perf_counter() - self._started + cell_s > minutes * 60

    def _pace(self) -> float:
        """Return what cells took in relation to what was expected of them."""
        return (time.perf_counter() - self._started) / self._done_s if self._done_s else 1.0


class Stop:
    """Whether somebody wants the measurement to end."""

    is_wanted = False

    def want(self, *_: Any) -> None:
        """End at the next occasion; asked twice, at once."""
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True


@contextmanager
def stopped_gently() -> Iterator[Stop]:
    """Take Ctrl-C and SIGTERM, such as `timeout` sends, as a wish; yields it."""
    stop = Stop()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop.want) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
