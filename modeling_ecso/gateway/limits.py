"""How much of the gateway one client can take: places, bytes and time to send them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from .problems import ClientGone, RequestError


class Places:
    """The requests that may be in work at a time. None waits: a full house says come back.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int):
        """Start empty."""
        self._free = count

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one place.

        Raises:
            RequestError: All are taken.
        """
        if not self._free:
            raise RequestError(
                429,
                "too many requests are in work; come back in a second",
                "too_many_requests",
                headers={"Retry-After": "1"},
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """Return a request's body.

    Args:
        request: The request.
        max_bytes: The most that is read.
        timeout_s: Time limit in seconds.

    Raises:
        RequestError: It is too large, too slow, or not JSON by its own account.
        ClientGone: The client has left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A browser sends this type to another site only after asking; so no page can send here.
        raise RequestError(415, "send the request as application/json", "unsupported_media_type")
    too_large = RequestError(413, f"the body has more than {max_bytes} bytes", "body_too_large")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except ClientDisconnect:
        raise ClientGone from None
    except TimeoutError:
        raise RequestError(408, "the body did not arrive in time", "body_timeout") from None
    return bytes(body)
