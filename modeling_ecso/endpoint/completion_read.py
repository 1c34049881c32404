"""From the body of a chat completion to a `Completion`, strictly: it may hold anything.

Covered: whatever is not a chat completion, texts that cannot be written down in UTF-8, counts that
are none, answers that the server broke off.
Not covered: what the text means; that is the protocol's.
"""

import json
from typing import Any

from .logprobs import chance_unsafe, spells_beginning
from .model_server import Completion, Fault, ModelServerError
from .streamed_completion import count_of
from .thought import IN_CONTENT, said_in


# How servers say that the answer is complete. Whatever else they say, but for the words below, cut
# it short: the length, a repetition that was detected, and their like.
_COMPLETE = (None, "stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls")
_BROKEN_OFF = ("abort", "cancelled", "error")


def read_completion(content: bytes, milliseconds: float) -> Completion:
    """Return what a response body says.

    Args:
        content: The body.
        milliseconds: Wall time of the call.

    Raises:
        ModelServerError: It says nothing usable.
    """
    return completion_of(_parsed(content), milliseconds)


def completion_of(body: Any, milliseconds: float) -> Completion:
    """Return what a parsed body says.

    Args:
        body: The body; it may be anything.
        milliseconds: Wall time of the call.

    Raises:
        ModelServerError: It says nothing usable.
    """
    fault = Fault.MALFORMED
    try:
        if not body["choices"]:
            fault = Fault.EMPTY
        choice = body["choices"][0]
        message = choice["message"]
        said = said_in(message)
        if said is None:
            fault = Fault.EMPTY
        elif choice.get("finish_reason") in _BROKEN_OFF:
            fault = Fault.BROKEN_OFF
        else:
            for text in (said.text, said.thought):
                text.encode("utf-8")
            usage = body.get("usage") or {}
            # The first token of a thought is not that of a verdict.
            logprobs = None if said.thought else choice.get("logprobs")
            return Completion(
                text=said.text,
                tokens=count_of(usage.get("completion_tokens")),
                prompt_tokens=count_of(usage.get("prompt_tokens")),
                finish_reason=_finish_reason(choice.get("finish_reason")),
                has_logprobs=spells_beginning(logprobs, said.text),
                p_unsafe=chance_unsafe(logprobs),
                milliseconds=milliseconds,
                thought=said.thought,
                thought_field=said.field,
                whole_content=message["content"].strip() if said.field == IN_CONTENT else None,
            )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        pass
    # Raised out here, so that it has no context: those errors hold what was read.
    raise ModelServerError(fault)


def read_model_names(content: bytes) -> list[str]:
    """Return the names in a list of models.

    Raises:
        ModelServerError: It is no such list.
    """
    try:
        return [str(model["id"]) for model in _parsed(content)["data"]]
    except (TypeError, KeyError):
        pass
    raise ModelServerError(Fault.MALFORMED)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _finish_reason(said: Any) -> str:
    if said in _COMPLETE:
        return "stop"
    return "content_filter" if said == "content_filter" else "length"
