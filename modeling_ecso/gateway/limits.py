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


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return a request's body.

    Args:
        request: The request.
        limits: The most that is read, and how long that may take.

    Raises:
        RequestError: It is too large, too slow, or not JSON by its own account.
        ClientGone: The client has left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A browser sends this type to another site only after asking; so no page can send here.
        raise RequestError("unsupported_media_type", "send the request as application/json")
    most = limits.body_bytes
    too_large = RequestError("body_too_large", f"the body has more than {most} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except ClientDisconnect:
        raise ClientGone from None
    except TimeoutError:
        raise RequestError("body_timeout", "the body did not arrive in time") from None
    return bytes(body)
