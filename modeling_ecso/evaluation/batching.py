"""Collects requests that arrive together into batches.

Whoever holds the lock runs a batch for all who wait, so there is no thread to end and nothing is
left behind when a request is cancelled.
"""

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from anyio import to_thread


# How long a batch waits for company: far less than it takes to run, far more than samples that are
# scheduled together are apart.
_GATHER_S = 0.02


class _Slot:
    """A request that waits, and later its result or error."""

    def __init__(self, key: Any, request: Any):
        self.key = key
        self.request = request
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None


class Batcher:
    """Runs requests in batches, one batch at a time, in a thread.

    Args:
        run: Takes the requests of a batch, returns their results.
        size: Largest batch.
    """

    def __init__(self, run: Callable[[Sequence[Any]], Sequence[Any]], size: int):
        """Start with nobody waiting."""
        self._run = run
        self._size = size
        self._waiting: list[_Slot] = []
        self._lock: anyio.Lock | None = None

    async def submit(self, key: Any, request: Any) -> Any:
        """Return the result of a request.

        Args:
            key: Requests with an equal key may share a batch.
            request: What to run.

        Raises:
            Exception: Whatever the run raises for this request alone.
        """
        if self._lock is None:
            self._lock = anyio.Lock()  # belongs to the event loop, which there is only now
        slot = _Slot(key, request)
        self._waiting.append(slot)
        try:
            async with self._lock:
                while not slot.is_done:
                    await anyio.sleep(_GATHER_S)
                    batch = self._next_batch()
                    await to_thread.run_sync(self._run_batch, batch)
        finally:
            if slot in self._waiting:  # cancelled before its turn
                self._waiting.remove(slot)
        if slot.error is not None:
            raise slot.error
        return slot.result

    def _next_batch(self) -> list[_Slot]:
        """Take the request that has waited longest, and its like."""
        key = self._waiting[0].key
        batch = [slot for slot in self._waiting if slot.key == key][: self._size]
        self._waiting = [slot for slot in self._waiting if slot not in batch]
        return batch

    def _run_batch(self, batch: list[_Slot]) -> None:
        try:
            results = self._run([slot.request for slot in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                batch[0].is_done = True
                return
            # One request must not take the others down with it.
            for slot in batch:
                self._run_batch([slot])
            return
        for slot, result in zip(batch, results, strict=True):
            slot.result = result
            slot.is_done = True
