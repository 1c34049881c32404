"""How a result reaches a client: as JSON, or as a stream that is kept open while it waits.

Covered: a client that leaves cancels the work for it; a stream that has waited long gets comments,
which clients skip; a failure before the first comment keeps its HTTP status, a later one is an
event of the stream.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.types import Receive, Send

from .errors import ClientGone, RequestError
from .metrics import NO_REASON


_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Tells nginx not to hold the stream back.
    (b"x-accel-buffering", b"no"),
]


class CancellableTask:
    """Work that is worth doing only while its client is there.

    Args:
        work: What to do.
        receive: The connection, its request read.
    """

    def __init__(self, work: Coroutine[Any, Any, None], receive: Receive):
        """Start the work."""
        self._work = asyncio.create_task(work)
        self._departure = asyncio.create_task(_departure(receive))

    async def wait(self, timeout_s: float | None = None, news: asyncio.Event | None = None) -> bool:
        """Wait until the work is done; return whether it is.

        Args:
            timeout_s: How long to wait at most, in seconds.
            news: Wait no longer than until this is set.

        Raises:
            ClientGone: The client has left.
            Whatever the work raises.
        """
        tasks: set[asyncio.Task[Any]] = {self._work, self._departure}
        waiting = asyncio.create_task(news.wait()) if news else None
        if waiting:
            tasks.add(waiting)
        try:
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if waiting:
                waiting.cancel()
        if self._work.done():
            self._work.result()
            return True
        if self._departure.done():
            raise ClientGone
        return False

    async def end(self) -> None:
        """Cancel whatever is still running and wait for it to be gone."""
        self._work.cancel()
        self._departure.cancel()
        await asyncio.gather(self._work, self._departure, return_exceptions=True)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_json(
    send: Send, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    """Send a whole response.

    Args:
        send: The connection.
        status: The HTTP status.
        body: What goes out as JSON.
        headers: Further headers.
    """
    content = json.dumps(body, ensure_ascii=False).encode()
    lines = {"content-type": "application/json", "content-length": str(len(content))}
    raw = [(k.lower().encode(), v.encode()) for k, v in (lines | (headers or {})).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


async def stream(
    send: Send,
    task: CancellableTask,
    answers: Any,
    keep_alive_s: float,
    told_of: Callable[[Exception], RequestError],
) -> tuple[int, str]:
    """Send the answers as server-sent events as they come up; return what to count.

    Args:
        send: The connection.
        task: The work on the answers.
        answers: What to send; `Answers` or one like it.
        keep_alive_s: Seconds between comments.
        told_of: Says what to tell of an error.

    Raises:
        ClientGone: The client has left.
        Whatever the work raises, before anything was sent.

    Returns:
        The status and the reason.
    """
    is_done = await task.wait(keep_alive_s, answers.news)
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
    failure = None
    while True:
        events = answers.take_events()
        for event in events:
            await _send_part(send, event)
        if is_done:
            break
        if not events:
            await _send_part(send, b": waiting for the verdict\n\n")
        try:
            is_done = await task.wait(keep_alive_s, answers.news)
        except ClientGone:
            raise
        except Exception as error:
            failure = told_of(error)
            break
    if failure is not None:
        for event in answers.take_events():
            await _send_part(send, event)
        await _send_part(send, answers.failure_event(failure))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    if failure is not None:
        return failure.status, failure.reason.value
    return 200, answers.reason or NO_REASON


def _send_part(send: Send, body: bytes) -> Awaitable[None]:
    return send({"type": "http.response.body", "body": body, "more_body": True})
