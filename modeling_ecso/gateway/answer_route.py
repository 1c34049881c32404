"""The routes that answer: check, run the protocol, deliver, in the words of one API or another.

To add an API, describe it as an `Api` and list it in `app.ANSWER_ROUTES`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..errors_ecso import describe_error
from .answers import Answers
from .context import GatewayContext
from .delivery import CancellableTask, send_json, stream
from .errors import ClientGone, RequestError, as_request_error
from .metrics import NO_REASON
from .requests import read_request
from .responses_answer import ResponseAnswer
from .responses_body import read_responses_request


logger = logging.getLogger(__name__)

# The status that is counted, not sent, where a client has left; nginx's word for it.
CLIENT_LEFT = 499


class Api(NamedTuple):
    """The words in which answers are asked for and given.

    Args:
        read: Reads a request's body; raises RequestError.
        answers: Settles the answers and puts them into words; `Answers` or one like it.
    """

    read: Callable[..., Any]
    answers: Callable[[GatewayContext, Any], Any]


CHAT = Api(read_request, Answers)
RESPONSES = Api(read_responses_request, ResponseAnswer)


class AnswerRoute:
    """A route that answers, as an application of its own.

    Args:
        context: What all requests share.
        api: Its words.
    """

    def __init__(self, context: GatewayContext, api: Api):
        """Keep both."""
        self._context = context
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        metrics = self._context.metrics
        started = time.perf_counter()
        status, reason, failure = CLIENT_LEFT, NO_REASON, None
        with metrics.running.track_inprogress():
            try:
                status, reason = await self._answer(Request(scope, receive), send)
            except ClientGone:
                pass
            except Exception as error:
                failure = logged(error)
            if failure is not None:
                status, reason = failure.status, failure.reason.value
                await send_json(send, status, failure.body(), failure.headers)
        metrics.requests.labels(str(status), reason).inc()
        metrics.request_seconds.observe(time.perf_counter() - started)

    async def _answer(self, request: Request, send: Send) -> tuple[int, str]:
        """Send the answer; return the status that was sent, and the reason."""
        context = self._context
        context.keys.check(request.headers.get("authorization"))
        content = await context.bodies.read(request)
        with context.running.entered():
            asked = await self._read(content)
            del content  # it may be large, and is of no use while the steps run
            answers = self._api.answers(context, asked)
            task = CancellableTask(answers.settle(), request.receive)
            try:
                if asked.streams:
                    return await stream(send, task, answers, context.config.keep_alive_s, logged)
                await task.wait()
                await send_json(send, 200, answers.body())
                return 200, answers.reason or NO_REASON
            finally:
                await task.end()

    async def _read(self, content: bytes) -> Any:
        config = self._context.config
        asked = self._api.read(content, config.served_name, config.limits)
        return replace(asked, messages=await self._context.images.admit(asked.messages))


def logged(error: Exception) -> RequestError:
    """Return what to tell a client about an error; an unexpected one is logged without its text."""
    told = as_request_error(error)
    if told.code == "internal_error":
        logger.error("a request could not be answered (%s)", describe_error(error))
    return told
