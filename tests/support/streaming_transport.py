"""An application in this process as a server that streams: each piece arrives when it is sent."""

import asyncio
import contextlib

import httpx2


class StreamingTransport(httpx2.AsyncBaseTransport):
    """Carries requests to an ASGI application; whoever closes a response disconnects from it.

    Args:
        app: The application.
    """

    def __init__(self, app):
        self._app = app

    async def handle_async_request(self, request):
        pieces, left = asyncio.Queue(maxsize=1), asyncio.Event()
        messages = [{"type": "http.request", "body": await request.aread()}]

        async def receive():
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def run():
            try:
                await self._app(_scope(request), receive, pieces.put)
            except Exception as error:
                await pieces.put(error)

        work = asyncio.create_task(run())
        try:
            start = await pieces.get()
        except asyncio.CancelledError:
            await _end(work)
            raise
        if isinstance(start, Exception):
            raise httpx2.ReadError("the application failed", request=request)
        body = _Body(pieces, left, work, request)
        return httpx2.Response(start["status"], headers=start["headers"], stream=body)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, pieces, left, work, request):
        self._pieces, self._left, self._work, self._request = pieces, left, work, request

    async def __aiter__(self):
        more = True
        while more:
            message = await self._pieces.get()
            if isinstance(message, Exception):
                raise httpx2.ReadError("the application failed", request=self._request)
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def aclose(self):
        self._left.set()
        await _end(self._work)


async def _end(work):
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


def _scope(request):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
    }
