"""One step, one chat completion of an OpenAI-compatible server, read strictly.

Covered: whatever the server does wrong (no answer in time, an error status, a body cut short or
malformed, no choice, an empty text) becomes an `ModelServerError` that says which of these it was
and holds nothing of what was sent or received.
Not covered: what the texts mean; that is the protocol's.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import openai

from .chat import Message
from .logprobs import TOP_LOGPROBS, chance_unsafe
from .model_server import Completion, Fault, ModelServerError
from .shared_call import SharedCall


# Asked to see whether a server gives log-probabilities; what it answers does not matter.
_PROBE = ({"role": "user", "content": "Is the sky blue? Answer yes or no:"},)


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
            http_client=openai.DefaultAsyncHttpxClient(
                trust_env=False, follow_redirects=False, transport=transport, timeout=timeout_s
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
        if wants_logprobs and await self.gives_logprobs():
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        started = time.perf_counter()
        content = await self._request("/chat/completions", body)
        return _read_completion(content, (time.perf_counter() - started) * 1000)

    async def gives_logprobs(self) -> bool:
        """Return whether the server gives log-probabilities; probed by the first who asks.

        Raises:
            ModelServerError: The server answers neither way.
        """
        if self._gives_logprobs is None:
            self._gives_logprobs = await self._probing.result()
        return self._gives_logprobs

    async def model_names(self, timeout_s: float = 5.0) -> list[str]:
        """Return the names of the models that the server lists.

        Args:
            timeout_s: Time limit in seconds; the call is not repeated.

        Raises:
            ModelServerError: The server gives no list.
        """
        content = await self._request("/models", None, timeout_s)
        try:
            return [str(model["id"]) for model in json.loads(content)["data"]]
        except (ValueError, TypeError, KeyError):
            pass
        raise ModelServerError(Fault.MALFORMED)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _probe(self) -> bool:
        body = {"model": self.model, "messages": list(_PROBE), "max_tokens": 1}
        asked = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        try:
            content = await self._request("/chat/completions", body | asked)
        except ModelServerError as error:
            if error.status not in (400, 422):
                raise
            return False  # a server that does not know the field
        return _holds_logprobs(content)

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
        except (openai.APIError, httpx2.HTTPError):
            pass
        # Raised out here, so that it has no context: the library's errors hold bodies.
        raise ModelServerError(fault, status)


def _read_completion(content: bytes, milliseconds: float) -> Completion:
    """Return what a response body says; raise ModelServerError where it says nothing usable."""
    fault = Fault.MALFORMED
    try:
        body = json.loads(content)
        choices = body["choices"]
        if not choices:
            fault = Fault.EMPTY
        choice = choices[0]
        text = choice["message"]["content"]
        fault = Fault.EMPTY if text is None else fault
        text = text.strip()
        if text:
            usage = body.get("usage") or {}
            return Completion(
                text=text,
                tokens=_count(usage.get("completion_tokens")),
                prompt_tokens=_count(usage.get("prompt_tokens")),
                finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
                p_unsafe=chance_unsafe(choice.get("logprobs")),
                milliseconds=milliseconds,
            )
        fault = Fault.EMPTY
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        pass
    raise ModelServerError(fault)


def _holds_logprobs(content: bytes) -> bool:
    try:
        return bool(json.loads(content)["choices"][0]["logprobs"]["content"][0]["top_logprobs"])
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
