"""What an `EndpointRun` asks: a model behind some API, its completions and its faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from ..errors_ecso import ECSOError
from .chat import Message
from .streamed_completion import OnPiece


# Statuses by which a server says that it will not take this request; another would say the same.
_REFUSES_PROMPT = (400, 413, 422)
# What a thought may take in a step that is to say no more than a word otherwise.
THOUGHT_TOKENS = 2048


class Fault(StrEnum):
    """What a model server did wrong."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STATUS = "status"
    MALFORMED = "malformed"
    EMPTY = "empty"
    THOUGHT_ONLY = "thought_only"
    BROKEN_OFF = "broken_off"
    TOO_LARGE = "too_large"


class ModelServerError(ECSOError, RuntimeError):
    """The model server gave no usable answer. Never quotes what was sent or received.

    Args:
        fault: What went wrong.
        status: The HTTP status, where there was one.
        server: Which server it was, where there are several.
    """

    def __init__(self, fault: Fault, status: int | None = None, server: str | None = None):
        """Describe the fault in one sentence."""
        said = {
            Fault.TIMEOUT: "the model server did not answer in time",
            Fault.UNREACHABLE: "the model server could not be reached, or broke off",
            Fault.STATUS: f"the model server answered with status {status}",
            Fault.MALFORMED: "the model server's answer is no chat completion",
            Fault.EMPTY: "the model server gave no answer",
            Fault.THOUGHT_ONLY: "the model's thought took all the room, so that it said nothing",
            Fault.BROKEN_OFF: "the model server broke its answer off",
            Fault.TOO_LARGE: "the model server's response is too large, or compressed unasked",
        }
        super().__init__(f"{server}: {said[fault]}" if server else said[fault])
        self.fault = fault
        self.status = status

    @property
    def is_about_prompt(self) -> bool:
        """Whether what was asked is at fault, so that another server would do no better."""
        return self.status in _REFUSES_PROMPT or self.fault is Fault.THOUGHT_ONLY


@dataclass(frozen=True, repr=False)
class Completion:
    """What the server said. Has no repr: it may be an unsafe draft.

    Args:
        text: The text, stripped, without a thought; it may be empty.
        tokens: Number of tokens generated; 0 where the server does not say.
        prompt_tokens: Number of tokens of the prompt; 0 where the server does not say.
        finish_reason: ``stop``; ``length``, where it was cut short; ``content_filter``, where the
            server has a filter of its own.
        has_logprobs: Whether log-probabilities came with it, of tokens written as text.
        p_unsafe: Share of yes among yes and no at the first token, in [0, 1]; None where unknown.
        milliseconds: Wall time of the call.
        thought: What the model thought before it answered, stripped; empty where it did not.
        thought_field: The field of the message that the thought came in; None: there is none.
        whole_content: The content with the thought and its marks, where it came in there.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    has_logprobs: bool
    p_unsafe: float | None
    milliseconds: float
    thought: str = ""
    thought_field: str | None = None
    whole_content: str | None = None


@dataclass(frozen=True)
class ServerTraits:
    """What a model server does, as far as the steps depend on it.

    Args:
        gives_logprobs: Whether completions come with log-probabilities of tokens written as text.
        thought_field: The field that the model's thoughts come in; None: it does not think.
        thought_off: Fields of a request that keep the model from thinking.
        always_thinks: Whether nothing keeps it from thinking.
    """

    gives_logprobs: bool
    thought_field: str | None = None
    thought_off: Mapping[str, Any] = field(default_factory=dict)
    always_thinks: bool = False


class ModelServer(Protocol):
    """A model that completes conversations.

    What it does is known by asking alone: there is no attribute to read too early, and no call
    that has to come before.
    """

    async def traits(self, anew: bool = False) -> ServerTraits:
        """Return what the server does; probed by the first who asks.

        Args:
            anew: Whether what was found before may be wrong.
        """
        ...

    async def complete(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        wants_logprobs: bool = False,
        on_piece: OnPiece | None = None,
    ) -> Completion:
        """Return the answer to a conversation in the words of the chat completions API.

        Args:
            messages: The conversation.
            fields: Further fields of the request, such as ``max_tokens``.
            wants_logprobs: Whether p(unsafe) is to be read, where the model gives it.
            on_piece: Is told of what has arrived, where the model server streams; it may not.
        """
        ...
