"""The body of a chat completions request, as an object: its fields, and what asks for nothing.

To take a field, add it to its object; to take a value that asks for what happens anyway, add it to
``neutral``.

Covered: null, empty texts, lists and objects are left out, known field or not, and so is what the
tables name; any other field that is not known is an error; no message repeats a value.
Not covered: what the fields mean together, see `requests`.
"""

import json
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

from .errors import RequestError


MAX_SEED = 2**63 - 1
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


class PartRead(_Read):
    """A part of a turn: a text or an image."""

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
_Parts = Annotated[list[PartRead], Field(fail_fast=True), Tag("parts")]
_Content = Annotated[
    _Text | _Parts,
    Discriminator(lambda content: "parts" if isinstance(content, list) else "text"),
]


class MessageRead(_Read):
    """A turn."""

    ignored = frozenset({"name", "id", "cache_control"})

    role: Literal["system", "developer", "user", "assistant"]
    content: _Content | None = None


class _StreamOptions(_Read):
    neutral = {
        "include_obfuscation": (True, False),
        "continuous_usage_stats": (False,),
    }

    include_usage: bool = False


class RequestBody(_Read):
    """A whole request."""

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
    messages: list[MessageRead] = Field(min_length=1, fail_fast=True)
    n: int = Field(1, ge=1)
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    stop: list[Annotated[_String, Field(min_length=1, max_length=1000)]] = Field([], max_length=4)
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
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


def parsed_body(content: bytes) -> RequestBody:
    """Return the body of a request.

    Args:
        content: As it was received.

    Raises:
        RequestError: It is no JSON, or has a field that cannot be taken; the message names it.
    """
    return _validated(_parsed(content))


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


def _validated(body: Any) -> RequestBody:
    if not isinstance(body, dict):
        raise RequestError("invalid_value", "the body is not a JSON object")
    try:
        return RequestBody.model_validate(body)
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


def wrong(at: str, why: str) -> RequestError:
    """Return the error for a value that cannot be taken."""
    return RequestError("invalid_value", f"{at}: {why}", at)
