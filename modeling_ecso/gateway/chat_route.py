"""`POST /v1/chat/completions`: check, run the protocol, deliver."""

import json
import logging
import time
from dataclasses import replace

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..errors_ecso import describe_error
from .answers import Answers
from .context import GatewayContext
from .delivery import CancellableTask, send_json, stream
from .errors import ClientGone, RequestError, as_request_error
from .limits import read_body
from .requests import ChatRequest, read_request


logger = logging.getLogger(__name__)

# The status that is counted, not sent, where a client has left; nginx's word for it.
CLIENT_LEFT = 499


class ChatRoute:
    """The route, as an application of its own.

    Args:
        context: What all requests share.
    """

    def __init__(self, context: GatewayContext):
        """Keep the context."""
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        metrics = self._context.metrics
        started = time.perf_counter()
        status, failure = CLIENT_LEFT, None
        with metrics.running.track_inprogress():
            try:
                status = await self._answer(Request(scope, receive), send)
            except ClientGone:
                pass
            except Exception as error:
                failure = logged(error)
            if failure is not None:
                status = failure.status
                await send_json(send, status, failure.body(), failure.headers)
        metrics.requests.labels(str(status)).inc()
        metrics.request_seconds.observe(time.perf_counter() - started)

    async def _answer(self, request: Request, send: Send) -> int:
        """Send the answer; return the status that was sent."""
        context = self._context
        context.keys.check(request.headers.get("authorization"))
        with context.running.entered():
            asked = await self._read(request)
            answers = Answers(context, asked)
            task = CancellableTask(answers.settle(), request.receive)
            try:
                if asked.streams:
                    return await stream(send, task, answers, context.config.keep_alive_s, logged)
                await task.wait()
                await send_json(send, 200, answers.body())
                return 200
            finally:
                await task.end()

    async def _read(self, request: Request) -> ChatRequest:
        config = self._context.config
        content = await read_body(request, config.limits)
        body = None
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            pass
        if body is None:
            # Raised out here, so that it has no context: the parser's error holds the text.
            raise RequestError("invalid_json", "the body is not JSON")
        asked = read_request(body, config.served_name, config.limits.choices)
        return replace(asked, messages=await self._context.images.admit(asked.messages))


def logged(error: Exception) -> RequestError:
    """Return what to tell a client about an error; an unexpected one is logged without its text."""
    told = as_request_error(error)
    if told.code == "internal_error":
        logger.error("a request could not be answered (%s)", describe_error(error))
    return told
