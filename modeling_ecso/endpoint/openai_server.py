"""One step, one chat completion of an OpenAI-compatible server, read strictly.

Covered: whatever the server does wrong (no answer in time, an error status, a body cut short,
malformed or too large, no choice) becomes a `ModelServerError` that says which of these it was and
holds nothing of what was sent or received; a server that gives log-probabilities no longer is asked
without, and found out about anew; one that does not stream is asked for the whole.
Not covered: what the texts mean; that is the protocol's.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import httpx2
import openai

from .chat import Message
from .completion_read import completion_of, read_completion, read_model_names
from .limited_response import PLAIN_HEADERS, is_event_stream, limit_response
from .model_server import Completion, Fault, ModelServerError, ServerTraits
from .server_traits import LOGPROBS, QUESTION, REFUSALS, learn_traits
from .shared_call import SharedCall
from .streamed_completion import OnPiece, ResponseTooLarge, StreamedCompletion


Result = TypeVar("Result")
_COMPLETIONS = "/chat/completions"
# How a stream is asked for, the best first: with its counts in every piece, or at its end. Servers
# may refuse fields that they do not know.
_STREAM_WISHES: tuple[dict[str, Any], ...] = tuple(
    {"stream": True, "stream_options": {"include_usage": True, **further}}
    for further in ({"continuous_usage_stats": True}, {})
)


class OpenAIServer:
    """A client of one OpenAI-compatible server. Keep one for many requests; close it at the end.

    Args:
        base_url: Where the server's OpenAI routes are, such as ``http://127.0.0.1:8000/v1``.
        model: The model's name on that server.
        api_key: Sent to the server; None: none is needed.
        timeout_s: Time limit of one step in seconds, retries included.
        connect_timeout_s: Time limit of a connection in seconds; None: that of the step.
        retries: How often a call that failed for a passing reason is repeated.
        transport: Carries the requests instead of the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        connect_timeout_s: float | None = None,
        retries: int = 1,
        transport: httpx2.AsyncBaseTransport | None = None,
    ):
        """Prepare; nothing is sent yet."""
        self.model = model
        self._timeout_s = timeout_s
        self._traits: ServerTraits | None = None
        self._learning = SharedCall(self._learn)
        self._stream_wishes = _STREAM_WISHES
        timeout = httpx2.Timeout(timeout_s, connect=connect_timeout_s or timeout_s)
        # Nothing from the environment: no proxy, no key that was meant for another server.
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            organization="",
            project="",
            max_retries=retries,
            timeout=timeout,
            default_headers=PLAIN_HEADERS,
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=False,
                follow_redirects=False,
                transport=transport,
                timeout=timeout,
                event_hooks={"response": [limit_response]},
            ),
        )

    async def complete(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        wants_logprobs: bool = False,
        on_piece: OnPiece | None = None,
    ) -> Completion:
        """Return the server's answer to a conversation.

        Whoever cancels this while the answer is written ends the writing as well.

        Args:
            messages: The conversation, as the chat completions API takes it.
            fields: Further fields of the request, such as ``max_tokens``.
            wants_logprobs: Whether p(unsafe) is to be read, if the server gives it.
            on_piece: Is told of what has arrived, if the server streams; then there are no
                log-probabilities.

        Raises:
            ModelServerError: There is no usable answer.
        """
        body = {"model": self.model, "messages": list(messages), **fields}
        if on_piece is not None:
            return await self._complete_in_pieces(body, on_piece)
        if not wants_logprobs or not (await self.traits()).gives_logprobs:
            return await self._complete(body)
        completion = None
        try:
            completion = await self._complete(body | LOGPROBS)
        except ModelServerError as error:
            if error.status not in REFUSALS:
                raise
        if completion is None:
            # It may have been started anew without them. If it was not, this is refused as well.
            completion = await self._complete(body)
        if not completion.has_logprobs:
            self._traits = None
        return completion

    async def traits(self, anew: bool = False) -> ServerTraits:
        """Return what the server does; probed by the first who asks.

        Args:
            anew: Whether what was found before may be wrong.

        Raises:
            ModelServerError: The server does not answer.
        """
        if anew:
            self._traits = None
        return self._traits or await self._learning.result()

    async def model_names(self, timeout_s: float = 5.0) -> list[str]:
        """Return the names of the models that the server lists.

        Args:
            timeout_s: Time limit in seconds; the call is not repeated.

        Raises:
            ModelServerError: The server gives no list.
        """
        return read_model_names(await self._request("/models", None, timeout_s))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _complete(self, body: dict[str, Any]) -> Completion:
        started = time.perf_counter()
        content = await self._request(_COMPLETIONS, body)
        return read_completion(content, _milliseconds_since(started))

    async def _complete_in_pieces(self, body: dict[str, Any], on_piece: OnPiece) -> Completion:
        started = time.perf_counter()
        for refused, wishes in enumerate(self._stream_wishes):
            try:
                said = await self._guarded(self._read_stream(body | wishes, on_piece))
            except ModelServerError as error:
                if error.status not in REFUSALS:
                    raise
            else:
                self._stream_wishes = self._stream_wishes[refused:]
                return completion_of(said, _milliseconds_since(started))
        # It may have been refused for itself; then it is so again.
        completion = await self._complete(body)
        self._stream_wishes = ()
        return completion

    async def _read_stream(self, body: dict[str, Any], on_piece: OnPiece) -> Any:
        """Return the body that the pieces of a stream come to, or that came in their place."""
        stream = await self._client.post(
            _COMPLETIONS,
            cast_to=object,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        async with stream:
            if not is_event_stream(stream.response):
                return json.loads(await stream.response.aread())
            written = StreamedCompletion()
            async for piece in stream:
                written.add(piece)
                on_piece(written)
        return written.body()

    async def _learn(self) -> ServerTraits:
        async def ask(fields: dict[str, Any]) -> Completion:
            return await self._complete({"model": self.model, "messages": list(QUESTION), **fields})

        self._traits = await learn_traits(ask)
        return self._traits

    async def _request(
        self, path: str, body: dict[str, Any] | None, timeout_s: float | None = None
    ) -> bytes:
        """Return the body of a response; without a body of its own, the request is a GET."""
        if body is None:
            client = self._client.with_options(max_retries=0)
            asking = client.get(path, cast_to=httpx2.Response)
        else:
            asking = self._client.post(path, cast_to=httpx2.Response, body=body)
        response = await self._guarded(asking, timeout_s)
        return response.content

    async def _guarded(self, asking: Awaitable[Result], timeout_s: float | None = None) -> Result:
        """Await the server; whatever it does wrong is a `ModelServerError`."""
        fault, status = Fault.UNREACHABLE, None
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return await asking
        except (TimeoutError, openai.APITimeoutError):
            fault = Fault.TIMEOUT
        except openai.APIStatusError as error:
            fault, status = Fault.STATUS, error.status_code
        except ResponseTooLarge:
            fault = Fault.TOO_LARGE
        except (openai.APIConnectionError, httpx2.HTTPError):
            pass
        except openai.APIError:
            fault = Fault.BROKEN_OFF  # a stream that says so itself
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            fault = Fault.MALFORMED  # of a stream, which is read as it comes
        # Raised out here, so that it has no context: the library's errors hold bodies.
        raise ModelServerError(fault, status)


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
