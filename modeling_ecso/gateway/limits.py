"""How much of the gateway one client can take: requests in work, bytes, time to send them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from .config import Limits
from .errors import ClientGone, RequestError


class ConcurrencyLimit:
    """The most requests in work at a time. None waits: one too many is told to come back.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int):
        """Start with none in work."""
        self._free = most

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Count one request for as long as it is in work.

        Raises:
            RequestError: There are too many.
        """
        if not self._free:
            raise RequestError(
                "too_many_requests", "too many requests are in work; come back in a second"
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class BodyReader:
    """Reads the bodies of requests, which are in nobody's way before they are there.

    Covered: bodies that are too large, too slow or stand still; very many at a time: where those
    that are still arriving hold too much together, the one that has been arriving longest is given
    up, so that slow ones cannot keep others out.
    Not covered: connections that send no request; the server's own limits are for those.

    Args:
        limits: How much, and how long.
    """

    def __init__(self, limits: Limits):
        """Start with nothing arriving."""
        self._limits = limits
        self._arriving: dict[asyncio.Timeout, int] = {}  # the one that began first stands first

    async def read(self, request: Request) -> bytes:
        """Return a request's body.

        Raises:
            RequestError: It is too large, too slow, or not JSON by its own account.
            ClientGone: The client has left.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A browser sends this type to another site only after asking; so no page can send here.
            raise RequestError("unsupported_media_type", "send the request as application/json")
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced[:20]) > self._limits.body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s) as until:
                try:
                    return await self._collect(request, until)
                finally:
                    self._arriving.pop(until, None)
        except ClientDisconnect:
            raise ClientGone from None
        except TimeoutError:
            raise RequestError("body_timeout", "the body did not arrive in time") from None

    async def _collect(self, request: Request, until: asyncio.Timeout) -> bytes:
        body = bytearray()
        chunks = aiter(request.stream())
        while True:
            async with asyncio.timeout(self._limits.body_idle_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                return bytes(body)
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise self._too_large()
            self._arriving[until] = len(body)
            self._give_up_the_longest()

    def _give_up_the_longest(self) -> None:
        while len(self._arriving) > 1:
            if sum(self._arriving.values()) <= self._limits.arriving_bytes:
                return
            longest = next(iter(self._arriving))
            del self._arriving[longest]
            longest.reschedule(asyncio.get_running_loop().time())

    def _too_large(self) -> RequestError:
        most = self._limits.body_bytes
        return RequestError("body_too_large", f"the body has more than {most} bytes")
