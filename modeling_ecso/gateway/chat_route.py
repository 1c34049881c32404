"""`POST /v1/chat/completions`: check, run the protocol, deliver."""

import json
import logging
import time
from dataclasses import replace

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..endpoint.openai_server import OpenAIServer
from ..errors_ecso import describe_error
from .answers import Answers
from .delivery import Waiting, send_json, stream
from .image_guard import ImageGuard
from .keys import ApiKeys
from .limits import Places, read_body
from .metrics import Metrics
from .problems import ClientGone, RequestError, problem_of
from .requests import ChatRequest, read_request
from .settings import GatewayConfig


logger = logging.getLogger(__name__)

# The status that is counted, not sent, where a client has left; nginx's word for it.
CLIENT_LEFT = 499


class ChatRoute:
    """The route, as an application of its own.

    Args:
        upstream: The server that answers.
        settings: How the gateway serves.
        keys: Who may ask.
        images: Checks images.
        metrics: Counts what happens.
    """

    def __init__(
        self,
        upstream: OpenAIServer,
        settings: GatewayConfig,
        keys: ApiKeys,
        images: ImageGuard,
        metrics: Metrics,
    ):
        """Set out the places for requests."""
        self._upstream = upstream
        self._settings = settings
        self._keys = keys
        self._images = images
        self._metrics = metrics
        self._places = Places(settings.limits.concurrent_requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        status = CLIENT_LEFT
        problem = None
        with self._metrics.running.track_inprogress():
            try:
                status = await self._answer(Request(scope, receive), send)
            except ClientGone:
                pass
            except Exception as error:
                problem = as_problem(error)
            if problem is not None:
                status = problem.status
                await send_json(send, status, problem.body(), problem.headers)
        self._metrics.requests.labels(str(status)).inc()
        self._metrics.request_seconds.observe(time.perf_counter() - started)

    async def _answer(self, request: Request, send: Send) -> int:
        """Send the answer; return the status that was sent."""
        self._keys.check(request.headers.get("authorization"))
        with self._places.take():
            asked = await self._read(request)
            answers = Answers(self._upstream, asked, self._settings, self._metrics)
            waiting = Waiting(answers.settle(), request.receive)
            try:
                if asked.streams:
                    keep_alive_s = self._settings.keep_alive_s
                    return await stream(send, waiting, answers, keep_alive_s, as_problem)
                await waiting.wait()
                await send_json(send, 200, answers.body())
                return 200
            finally:
                await waiting.end()

    async def _read(self, request: Request) -> ChatRequest:
        limits = self._settings.limits
        content = await read_body(request, limits.body_bytes, limits.body_timeout_s)
        body = None
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            pass
        if body is None:
            # Raised out here, so that it has no context: the parser's error holds the text.
            raise RequestError(400, "the body is not JSON", "invalid_json")
        asked = read_request(body, self._settings.served_name, limits.choices)
        return replace(asked, messages=await self._images.admit(asked.messages))


def as_problem(error: Exception) -> RequestError:
    """Return what to tell a client about any error; unexpected ones are logged without text."""
    problem = problem_of(error)
    if problem is None:
        logger.error("a request could not be answered (%s)", describe_error(error))
        problem = RequestError(500, "the gateway could not answer; try again", "internal_error")
    return problem
