"""The body of a chat completions request, read into what the gateway can serve.

Covered: texts and images in user turns, texts in the others, the sampling fields below. Whatever
asks for nothing is taken and left out, known or not: null, an empty text, list or object, and the
values of the tables below. What would change the answer and is not known is refused.
Not covered: images themselves, see `images`; tools, audio, files and structured outputs, which are
refused, because nothing would judge them.
"""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ..endpoint.chat import Message, Part
from ..endpoint.run import Sampling
from .config import Limits
from .errors import RequestError


_MAX_SEED = 2**63 - 1
# What is said of some errors in place of the library's words.
_SAID = {
    "extra_forbidden": "this field is not supported; leave it out",
    "model_type": "must be an object",
    "string_unicode": "the name of a field holds half a character (a lone surrogate)",
}
# Brackets and commas: more than any conversation has, and few enough to be parsed at once.
_MAX_VALUES = 200_000


def _whole(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        return text
    # Raised out here, so that it has no context: the codec's error holds the text.
    raise PydanticCustomError("surrogate", "holds half a character (a lone surrogate)")


_String = Annotated[str, AfterValidator(_whole)]


class _Read(BaseModel):
    """An object of a request, without what asks for nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    # Fields that are not for the model, whatever they hold.
    ignored: ClassVar[frozenset[str]] = frozenset()
    # Values that ask for what happens anyway.
    neutral: ClassVar[dict[str, tuple[Any, ...]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_asks_for_nothing(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        return {
            name: value
            for name, value in said.items()
            if value is not None
            and (
                name in cls.model_fields
                or not (
                    name in cls.ignored
                    or value in ("", [], {})
                    or value in cls.neutral.get(name, ())
                )
            )
        }


class _ImageURL(_Read):
    ignored = frozenset({"format"})

    url: _String
    detail: Literal["auto", "low", "high"] | None = None


class _Part(_Read):
    ignored = frozenset({"cache_control", "id", "index"})

    type: Literal["text", "image_url"]
    text: _String | None = None
    image_url: _ImageURL | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_of_a_known_type(cls, said: Any) -> Any:
        kind = said.get("type") if isinstance(said, dict) else None
        if kind not in ("text", "image_url"):
            raise PydanticCustomError(
                "part_type", "parts of this type are not supported; send text and image_url"
            )
        if said.get(kind) is None or said.get("image_url" if kind == "text" else "text"):
            raise PydanticCustomError("part", "must hold type and what the type names, no more")
        return said


_Text = Annotated[_String, Tag("text")]
_Parts = Annotated[list[_Part], Field(fail_fast=True), Tag("parts")]
_Content = Annotated[
    _Text | _Parts,
    Discriminator(lambda content: "parts" if isinstance(content, list) else "text"),
]


class _Message(_Read):
    ignored = frozenset({"name", "id", "cache_control"})

    role: Literal["system", "developer", "user", "assistant"]
    content: _Content | None = None


class _StreamOptions(_Read):
    neutral = {
        "include_obfuscation": (True, False),
        "continuous_usage_stats": (False,),
    }

    include_usage: bool = False


class _Body(_Read):
    ignored = frozenset(
        {"user", "metadata", "safety_identifier", "service_tier"}
        | {"prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls"}
    )
    neutral = {
        "logprobs": (False,),
        "top_logprobs": (0,),
        "store": (False,),
        "tool_choice": ("none", "auto"),
        "function_call": ("none", "auto"),
        "response_format": ({"type": "text"},),
        "modalities": (["text"],),
        "verbosity": ("medium",),
        # What servers other than OpenAI's know, at its default.
        "top_k": (-1, 0),
        "min_p": (0,),
        "repetition_penalty": (1,),
        "min_tokens": (0,),
        "best_of": (1,),
        "echo": (False,),
        "ignore_eos": (False,),
        "use_beam_search": (False,),
        "add_generation_prompt": (True,),
        "continue_final_message": (False,),
        "skip_special_tokens": (True,),
    }

    model: _String
    messages: list[_Message] = Field(min_length=1, fail_fast=True)
    n: int = Field(1, ge=1)
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    stop: list[Annotated[_String, Field(min_length=1)]] = Field([], max_length=4)
    seed: int | None = Field(None, ge=0, le=_MAX_SEED)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, stop: Any) -> Any:
        return ([stop] if stop else []) if isinstance(stop, str) else stop


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


def read_request(content: bytes, served_name: str, limits: Limits) -> ChatRequest:
    """Return what a request asks for.

    Args:
        content: Its body.
        served_name: The one model there is.
        limits: What one request may ask for.

    Raises:
        RequestError: Something in it cannot be served; the message names the field.
    """
    body = _validated(_parsed(content))
    if body.model != served_name:
        raise RequestError("model_not_found", f"model: this server has {served_name!r}", "model")
    if body.n > limits.choices:
        raise _wrong("n", f"must be at most {limits.choices}")
    return ChatRequest(
        messages=_messages(body.messages, limits.text_chars),
        sampling=Sampling(
            max_tokens=_token_limit(body, limits.tokens),
            temperature=body.temperature,
            top_p=body.top_p,
            stop=tuple(body.stop) or None,
            seed=body.seed,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
        ),
        choices=body.n,
        streams=body.stream,
        includes_usage=body.stream_options.include_usage,
    )


def _parsed(content: bytes) -> Any:
    # Counted first, which takes no time: a parser stops everybody else until it is done.
    if sum(map(content.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise RequestError("body_too_large", f"the body has more than {_MAX_VALUES} values")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        pass
    # Raised out here, so that it has no context: the parser's error holds the text.
    raise RequestError("invalid_json", "the body is not JSON")


def _validated(body: Any) -> _Body:
    if not isinstance(body, dict):
        raise RequestError("invalid_value", "the body is not a JSON object")
    try:
        return _Body.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    at = _place(first["loc"])
    said = _SAID.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    code = "unsupported" if first["type"] in ("extra_forbidden", "part_type") else "invalid_value"
    raise RequestError(code, f"{at}: {said}", at)


def _place(steps: tuple[int | str, ...]) -> str:
    """Return where something stands in a request, in signs that every client can read."""
    if steps[2:3] == ("content",):
        steps = (*steps[:3], *steps[4:])  # without the tag of the kind of content
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return place[1:121].encode("ascii", "backslashreplace").decode() or "the body"


def _token_limit(body: _Body, most: int) -> int | None:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) == 2:
        raise _wrong("max_completion_tokens", "differs from max_tokens; give one of them")
    limit = body.max_completion_tokens or body.max_tokens
    if limit is not None and limit > most:
        name = "max_tokens" if body.max_tokens else "max_completion_tokens"
        raise _wrong(name, f"must be at most {most}")
    return limit


def _messages(messages: list[_Message], most_chars: int) -> list[Message]:
    chars = 0
    for i, message in enumerate(messages):
        parts = message.content if isinstance(message.content, list) else []
        for j, part in enumerate(parts):
            if part.image_url and message.role != "user":
                raise _wrong(f"messages[{i}].content[{j}]", "images are for user messages alone")
            chars += len(part.text or "")
        chars += len(message.content) if isinstance(message.content, str) else 0
        if message.content is None and message.role != "assistant":
            raise _wrong(f"messages[{i}].content", "field required")
    if chars > most_chars:
        raise RequestError(
            "text_too_large", f"the messages have more than {most_chars} characters", "messages"
        )
    if messages[-1].role != "user":
        raise _wrong("messages", "the last must be the user's; answers cannot be continued")
    read = [_message(message) for message in messages]
    if not read[-1]["content"]:
        at = f"messages[{len(messages) - 1}].content"
        raise _wrong(at, "the last message must hold a text or an image")
    return read


def _message(message: _Message) -> Message:
    content: str | list[Part] = ""
    if isinstance(message.content, str):
        content = message.content
    elif message.content:
        # An empty text beside others says nothing.
        content = [_part(part) for part in message.content if part.text != ""] or ""
    return {"role": "system" if message.role == "developer" else message.role, "content": content}


def _part(part: _Part) -> Part:
    if part.image_url is None:
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": part.image_url.model_dump(exclude_none=True)}


def _wrong(at: str, why: str) -> RequestError:
    return RequestError("invalid_value", f"{at}: {why}", at)
