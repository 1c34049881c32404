"""One call at a time, shared by all who want its result."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar


Result = TypeVar("Result")


class SharedCall(Generic[Result]):
    """A call that is made once for all who wait for it together; they share its failure too.

    Args:
        call: Makes the call.
    """

    def __init__(self, call: Callable[[], Coroutine[Any, Any, Result]]):
        """Prepare; nothing is called yet."""
        self._call = call
        self._running: asyncio.Task[Result] | None = None

    async def result(self) -> Result:
        """Return the result of the call that runs, or of a new one.

        Raises:
            Whatever the call raises.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._call())
            # Where all who waited have left, nobody else would fetch its failure.
            self._running.add_done_callback(_fetch_failure)
        # Whoever leaves does not take the call along.
        return await asyncio.shield(self._running)


def _fetch_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
