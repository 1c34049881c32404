"""How much of a model server's response is read, whatever it sends.

Covered: compression that nobody asked for, which could unfold into any amount of memory; bodies
that go on and on, with or without a length said beforehand.
Not covered: how long that takes; the client has a time limit.
"""

from collections.abc import AsyncIterator

import httpx2
import openai

from .streamed_completion import MAX_RESPONSE_BYTES, ResponseTooLarge


# In a stream each token comes with its own wrapping, which is some 250 bytes.
MAX_STREAM_BYTES = 16 * 2**20
# What to ask a server for.
PLAIN_HEADERS = {"Accept-Encoding": "identity"}


class _NotAskedAgain(ResponseTooLarge, openai.OpenAIError):
    """A response that is not read; the client asks again after other errors than its own."""


async def limit_response(response: httpx2.Response) -> None:
    """Let a response be read up to a limit; a hook that runs before its body is read.

    Raises:
        ResponseTooLarge: It is compressed, or says that it is larger.
    """
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _NotAskedAgain
    most = MAX_STREAM_BYTES if is_event_stream(response) else MAX_RESPONSE_BYTES
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 12 or int(announced) > most):
        raise _NotAskedAgain
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _LimitedStream(response.stream, most)


def is_event_stream(response: httpx2.Response) -> bool:
    """Return whether a response is a stream of events, by its own account."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return bool(kind == "text/event-stream")


class _LimitedStream(httpx2.AsyncByteStream):
    """A body that breaks off where it becomes too large."""

    def __init__(self, stream: httpx2.AsyncByteStream, most_bytes: int):
        self._stream = stream
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > self._most_bytes:
                raise _NotAskedAgain
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
