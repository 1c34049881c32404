"""An Inspect provider as the model that the protocol asks.

Covered: a call that fails for a passing reason is repeated as Inspect repeats it; nothing of a
step reaches Inspect's log, cache, screen or hooks, since a step may hold an unsafe draft.
Not covered: tools, parts of a message other than text and images.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
)
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    stop_never,
    wait_random_exponential,
)

from ..endpoint.chat import Message
from ..endpoint.logprobs import TOP_LOGPROBS, chance_unsafe
from ..endpoint.model_server import Completion, ServerTraits
from ..endpoint.streamed_completion import OnPiece


# Inspect's own pace, but with an end: an hour without an answer fails the sample.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_S = 3, 30 * 60, 60 * 60

_KINDS: dict[str, Any] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}
# Settings that a step sets or leaves to the model; all others of a configuration hold throughout.
_OF_A_STEP = (
    "max_tokens",
    "temperature",
    "top_p",
    "stop_seqs",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)


class InspectEndpoint:
    """An Inspect provider, asked for plain answers.

    Args:
        api: The provider.
        config: Settings that hold for every call.
        gives_logprobs: Whether it gives log-probabilities; None: probed when it matters.
        known: Completions by what was asked, given again where the same is asked.
    """

    def __init__(
        self,
        api: ModelAPI,
        config: GenerateConfig,
        gives_logprobs: bool | None = None,
        known: Mapping[str, Completion] | None = None,
    ):
        """Prepare; nothing is asked yet."""
        self._known = known or {}
        self._gives_logprobs = gives_logprobs
        self._api = api
        self._config = config.model_copy(update=dict.fromkeys(_OF_A_STEP))

    async def traits(self, anew: bool = False) -> ServerTraits:
        """Return whether the provider gives log-probabilities; probed by the first who asks.

        Args:
            anew: Has no effect: Inspect takes care of thoughts itself.

        Raises:
            Whatever the provider raises.
        """
        if self._gives_logprobs is None:
            question = [{"role": "user", "content": "Is the sky blue? Answer yes or no:"}]
            output = await self._output(question, {"max_tokens": 16}, wants_logprobs=True)
            self._gives_logprobs = bool(output.choices and output.choices[0].logprobs)
        return ServerTraits(self._gives_logprobs)

    async def complete(
        self,
        messages: Any,
        fields: dict[str, Any],
        wants_logprobs: bool = False,
        on_piece: OnPiece | None = None,
    ) -> Completion:
        """Return the answer to a conversation; its text may be empty.

        Args:
            messages: The conversation, as the chat completions API takes it.
            fields: Settings of this call, in the words of the same API.
            wants_logprobs: Whether p(unsafe) is to be read, if the provider gives it.
            on_piece: Has no effect: Inspect's providers do not stream to their caller.

        Raises:
            Whatever the provider raises.
        """
        if self._known and (completion := self._known.get(asked(messages, fields))):
            return completion
        started = time.perf_counter()
        wants_logprobs = wants_logprobs and (await self.traits()).gives_logprobs
        output = await self._output(messages, fields, wants_logprobs)
        logprobs = output.choices[0].logprobs if output.choices else None
        return Completion(
            text=output.completion.strip(),
            tokens=output.usage.output_tokens if output.usage else 0,
            prompt_tokens=output.usage.input_tokens if output.usage else 0,
            finish_reason="length" if output.stop_reason == "max_tokens" else "stop",
            has_logprobs=bool(logprobs),
            p_unsafe=chance_unsafe(logprobs.model_dump()) if logprobs else None,
            milliseconds=(time.perf_counter() - started) * 1000,
        )

    async def _output(
        self, messages: Any, fields: dict[str, Any], wants_logprobs: bool
    ) -> ModelOutput:
        settings = {name: value for name, value in fields.items() if name != "stop"}
        if "stop" in fields:
            settings["stop_seqs"] = fields["stop"]
        if wants_logprobs:
            settings |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        config = self._config.merge(GenerateConfig(**settings))
        attempts = self._config.max_retries
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._is_passing),
            wait=self._api.retry_wait()
            or wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
            stop=stop_any(
                stop_after_delay(self._config.timeout or _LONGEST_S),
                stop_never if attempts is None else stop_after_attempt(attempts + 1),
            ),
            reraise=True,
        )
        return await retrying(self._asked_once, messages, config)

    def _is_passing(self, error: BaseException) -> bool:
        return isinstance(error, Exception) and bool(self._api.should_retry(error))

    async def _asked_once(self, messages: Any, config: GenerateConfig) -> ModelOutput:
        answered = await self._api.generate(
            [_as_inspect_takes_it(message) for message in messages], [], "none", config
        )
        # The second part is what went over the wire, for a log that must not have it.
        output = answered[0] if isinstance(answered, tuple) else answered
        if isinstance(output, Exception):
            raise output
        return output


def asked(messages: Any, fields: dict[str, Any]) -> str:
    """Return what two calls share that ask the same in the same way."""
    said = json.dumps([list(messages), fields], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _as_inspect_takes_it(message: Message) -> ChatMessage:
    content = message["content"]
    if not isinstance(content, str):
        content = [
            ContentText(text=part["text"])
            if part["type"] == "text"
            else ContentImage(image=part["image_url"]["url"])
            for part in content
        ]
    return _KINDS[message["role"]](content=content)
