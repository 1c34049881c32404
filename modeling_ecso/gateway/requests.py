"""The body of a chat completions request, read strictly: what is unsupported is said, not dropped.

Covered: texts and images in user turns, texts in the others, the sampling fields below.
Not covered: images themselves, see `images`; tools, audio, files and structured outputs,
which are refused, because nothing would judge them.
"""

from dataclasses import dataclass, replace
from typing import Any

from ..endpoint.chat import Message, Part
from ..endpoint.run import Sampling
from .errors import RequestError


# Values that ask for nothing, so that clients which always send them are served.
_NEUTRAL = {
    "logprobs": False,
    "store": False,
    "tools": [],
    "response_format": {"type": "text"},
    "modalities": ["text"],
}
_FIELDS = {
    *("model", "messages", "n", "stream", "stream_options", "stop", "seed"),
    *("max_tokens", "max_completion_tokens", "temperature", "top_p"),
    *("presence_penalty", "frequency_penalty"),
}
_MAX_STOPS = 4
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, repr=False)
class ChatRequest:
    """A request that can be served. Has no repr: it holds the user's text.

    Args:
        messages: Valid messages; images still as the client gave them.
        sampling: How the answers are to be written.
        choices: Number of answers.
        streams: Whether the answers go out as server-sent events.
        includes_usage: Whether a stream ends with the token counts.
    """

    messages: list[Message]
    sampling: Sampling
    choices: int
    streams: bool
    includes_usage: bool

    def sampling_of(self, index: int) -> Sampling:
        """Return how one of the answers is to be written: each has a seed of its own."""
        if self.sampling.seed is None:
            return self.sampling
        return replace(self.sampling, seed=(self.sampling.seed + index) % _MAX_SEED)


def read_request(body: Any, served_name: str, max_choices: int) -> ChatRequest:
    """Return what a request asks for.

    Args:
        body: The parsed JSON.
        served_name: The one model there is.
        max_choices: The most answers to one conversation.

    Raises:
        RequestError: Something in it cannot be served; the message names the field.
    """
    if not isinstance(body, dict):
        raise _wrong("the body is not a JSON object; send a chat completions request", None)
    said = _without_neutral(body)
    for name in said:
        if name not in _FIELDS:
            raise _unsupported(name)
    model = said.get("model")
    if model != served_name:
        shown = repr(model)[:80] if model is not None else "missing"
        raise RequestError(
            "model_not_found" if isinstance(model, str) else "invalid_value",
            f"model is {shown}; this server has {served_name!r}",
            "model",
        )
    options = said.get("stream_options", {})
    if not isinstance(options, dict) or set(options) - {"include_usage"}:
        raise _wrong("stream_options may hold include_usage alone", "stream_options")
    return ChatRequest(
        messages=_messages(said.get("messages")),
        sampling=_sampling(said),
        choices=_whole(said, "n", 1, max_choices) or 1,
        streams=_switch(said, "stream"),
        includes_usage=_switch(options, "include_usage"),
    )


def _without_neutral(body: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in body.items()
        if value is not None and (name not in _NEUTRAL or value != _NEUTRAL[name])
    }


def _sampling(said: dict[str, Any]) -> Sampling:
    if "max_tokens" in said and "max_completion_tokens" in said:
        raise _wrong("give max_tokens or max_completion_tokens, not both", "max_completion_tokens")
    stop = said.get("stop")
    if stop is not None:
        stop = [stop] if isinstance(stop, str) else stop
        if not isinstance(stop, list) or not 1 <= len(stop) <= _MAX_STOPS:
            raise _wrong(f"stop must be a text or a list of 1 to {_MAX_STOPS}", "stop")
        stop = tuple(_text(one, f"stop[{i}]") for i, one in enumerate(stop))
    limit = _whole(said, "max_tokens", 1) or _whole(said, "max_completion_tokens", 1)
    return Sampling(
        max_tokens=limit,
        temperature=_number(said, "temperature", 0, 2),
        top_p=_number(said, "top_p", 0, 1),
        stop=stop,
        seed=_whole(said, "seed", 0, _MAX_SEED),
        presence_penalty=_number(said, "presence_penalty", -2, 2),
        frequency_penalty=_number(said, "frequency_penalty", -2, 2),
    )


def _messages(messages: Any) -> list[Message]:
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages must be a list that is not empty", "messages")
    read = [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]
    if read[-1]["role"] != "user":
        raise _wrong("the last message must be the user's; answers cannot be continued", "messages")
    return read


def _message(message: Any, at: str) -> Message:
    if not isinstance(message, dict):
        raise _wrong(f"{at} must be an object with role and content", at)
    said = {name: value for name, value in message.items() if value is not None}
    for name in said:
        if name not in ("role", "content"):
            raise _unsupported(f"{at}.{name}"[:80])
    role = said.get("role")
    if role not in ("system", "developer", "user", "assistant"):
        raise _wrong(f"{at}.role must be system, developer, user or assistant", f"{at}.role")
    content = said.get("content")
    if isinstance(content, list) and content:
        parts = [_part(p, role, f"{at}.content[{i}]") for i, p in enumerate(content)]
        return {"role": "system" if role == "developer" else role, "content": parts}
    return {
        "role": "system" if role == "developer" else role,
        "content": _text(content, f"{at}.content"),
    }


def _part(part: Any, role: str, at: str) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and set(part) == {"type", "text"}:
        return {"type": "text", "text": _text(part["text"], f"{at}.text")}
    if kind == "image_url" and set(part) == {"type", "image_url"}:
        if role != "user":
            raise _wrong(f"{at}: images are for user messages alone", at)
        return {"type": "image_url", "image_url": _image_url(part["image_url"], f"{at}.image_url")}
    if kind in ("text", "image_url"):
        raise _wrong(f"{at} must hold type and {kind}, and nothing else", at)
    raise _unsupported(f"{at} of type {repr(kind)[:40]}", at)


def _image_url(value: Any, at: str) -> dict[str, str]:
    if not isinstance(value, dict) or not isinstance(value.get("url"), str):
        raise _wrong(f"{at} must be an object with a url", at)
    said = {name: one for name, one in value.items() if one is not None}
    if set(said) - {"url", "detail"} or said.get("detail", "auto") not in ("auto", "low", "high"):
        raise _wrong(f"{at} may hold url, and detail: auto, low or high", at)
    return said


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(f"{at} must be a text that is not empty", at)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        return value
    # Raised out here, so that it has no context: the codec's error holds the text.
    raise _wrong(f"{at} holds half a character (a lone surrogate)", at)


def _whole(said: dict[str, Any], name: str, least: int, most: int | None = None) -> int | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= least and (most is None or value <= most):
            return value
    span = f"from {least}" + (f" to {most}" if most is not None else "")
    raise _wrong(f"{name} must be a whole number {span}", name)


def _number(said: dict[str, Any], name: str, least: float, most: float) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise _wrong(f"{name} must be a number from {least} to {most}", name)


def _switch(said: dict[str, Any], name: str) -> bool:
    value = said.get(name, False)
    if not isinstance(value, bool | None):
        raise _wrong(f"{name} must be true or false", name)
    return bool(value)


def _wrong(message: str, param: str | None) -> RequestError:
    return RequestError("invalid_value", message, param)


def _unsupported(what: str, param: str | None = None) -> RequestError:
    return RequestError(
        "unsupported", f"{what[:120]} is not supported; leave it out", (param or what)[:120]
    )
