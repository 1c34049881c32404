"""One step, one chat completion of an OpenAI-compatible server, read strictly.

Covered: whatever the server does wrong (no answer in time, an error status, a body cut short,
malformed or too large, no choice) becomes a `ModelServerError` that says which of these it was and
holds nothing of what was sent or received; a server that gives log-probabilities no longer is asked
without, and found out about anew.
Not covered: what the texts mean; that is the protocol's.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import openai

from .chat import Message
from .completion_read import read_completion, read_model_names
from .limited_response import PLAIN_HEADERS, ResponseTooLarge, limit_response
from .logprobs import TOP_LOGPROBS
from .model_server import Completion, Fault, ModelServerError
from .shared_call import SharedCall


logger = logging.getLogger(__name__)

# Asked to see whether a server gives log-probabilities; what it answers does not matter.
_PROBE = ({"role": "user", "content": "Is the sky blue? Answer yes or no:"},)
_LOGPROBS = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
# How servers refuse a field that they do not know, or a number above their limit.
_REFUSALS = (400, 422)


class OpenAIServer:
    """A client of one OpenAI-compatible server. Keep one for many requests; close it at the end.

    Args:
        base_url: Where the server's OpenAI routes are, such as ``http://127.0.0.1:8000/v1``.
        model: The model's name on that server.
        api_key: Sent to the server; None: none is needed.
        timeout_s: Time limit of one step in seconds, retries included.
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
        retries: int = 1,
        transport: httpx2.AsyncBaseTransport | None = None,
    ):
        """Prepare; nothing is sent yet."""
        self.model = model
        self._timeout_s = timeout_s
        self._gives_logprobs: bool | None = None
        self._probing = SharedCall(self._probe)
        # Nothing from the environment: no proxy, no key that was meant for another server.
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            organization="",
            project="",
            max_retries=retries,
            timeout=timeout_s,
            default_headers=PLAIN_HEADERS,
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=False,
                follow_redirects=False,
                transport=transport,
                timeout=timeout_s,
                event_hooks={"response": [limit_response]},
            ),
        )

    async def complete(
        self, messages: Sequence[Message], fields: dict[str, Any], wants_logprobs: bool = False
    ) -> Completion:
        """Return the server's answer to a conversation.

        Args:
            messages: The conversation, as the chat completions API takes it.
            fields: Further fields of the request, such as ``max_tokens``.
            wants_logprobs: Whether p(unsafe) is to be read, if the server gives it.

        Raises:
            ModelServerError: There is no usable answer.
        """
        body = {"model": self.model, "messages": list(messages), **fields}
        if not wants_logprobs or not await self.gives_logprobs():
            return await self._complete(body)
        completion = None
        try:
            completion = await self._complete(body | _LOGPROBS)
        except ModelServerError as error:
            if error.status not in _REFUSALS:
                raise
        if completion is None:
            # It may have been started anew without them. If it was not, this is refused as well.
            completion = await self._complete(body)
        if not completion.has_logprobs:
            self._gives_logprobs = None
        return completion

    async def gives_logprobs(self) -> bool:
        """Return whether the server gives log-probabilities; probed by the first who asks.

        Raises:
            ModelServerError: The server answers neither way.
        """
        if self._gives_logprobs is None:
            return await self._probing.result()
        return self._gives_logprobs

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
        content = await self._request("/chat/completions", body)
        return read_completion(content, (time.perf_counter() - started) * 1000)

    async def _probe(self) -> bool:
        # Some models begin with a blank; what comes then shows how tokens are written.
        body = {"model": self.model, "messages": list(_PROBE), "max_tokens": 8, "temperature": 0}
        try:
            gives_logprobs = (await self._complete(body | _LOGPROBS)).has_logprobs
        except ModelServerError as error:
            # Some do not know the field, others think before they say anything.
            if error.status not in _REFUSALS and error.fault is not Fault.EMPTY:
                raise
            gives_logprobs = False
        self._gives_logprobs = gives_logprobs
        if not gives_logprobs:
            logger.warning(
                "the model server gives no log-probabilities of tokens written as text; verdicts "
                "that would be read from them are read as text"
            )
        return gives_logprobs

    async def _request(
        self, path: str, body: dict[str, Any] | None, timeout_s: float | None = None
    ) -> bytes:
        """Return the body of a response; without a body of its own, the request is a GET."""
        client = self._client
        fault, status = Fault.UNREACHABLE, None
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                if body is None:
                    client = client.with_options(max_retries=0)
                    response = await client.get(path, cast_to=httpx2.Response)
                else:
                    response = await client.post(path, cast_to=httpx2.Response, body=body)
                return response.content
        except (TimeoutError, openai.APITimeoutError):
            fault = Fault.TIMEOUT
        except openai.APIStatusError as error:
            fault, status = Fault.STATUS, error.status_code
        except ResponseTooLarge:
            fault = Fault.TOO_LARGE
        except (openai.APIError, httpx2.HTTPError):
            pass
        # Raised out here, so that it has no context: the library's errors hold bodies.
        raise ModelServerError(fault, status)
