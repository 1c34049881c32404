"""The body of a chat completions request, as an object: its fields, and what asks for nothing.

To take a field, add it to its object; to take a value that asks for what happens anyway, add it to
``neutral``.

Covered: null, empty texts, lists and objects are left out, known field or not, and so is what the
tables name; any other field that is not known is an error; no message repeats a value.
Not covered: what the fields mean together, see `requests`.
"""

import json
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
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
    "string_unicode": "half a character (a lone surrogate), in a text or in the name of a field",
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


def _whole_number(value: Any) -> Any:
    """Return a number as JSON libraries without integers write it, 7.0, as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


String = Annotated[str, AfterValidator(_whole)]
Whole = Annotated[int, BeforeValidator(_whole_number)]
_Body = TypeVar("_Body", bound=BaseModel)


class ReadObject(BaseModel):
    """An object of a request, without what asks for nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    # Fields that are not for the model, whatever they hold.
    ignored: ClassVar[frozenset[str]] = frozenset()
    # Values that ask for what happens anyway.
    neutral: ClassVar[dict[str, tuple[Any, ...]]] = {}
    # Objects of numbers that ask for nothing where all of them are 0.
    summands: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_asks_for_nothing(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        return {
            name: value
            for name, value in said.items()
            if value is not None and (name in cls.model_fields or not cls._is_idle(name, value))
        }

    @classmethod
    def _is_idle(cls, name: str, value: Any) -> bool:
        if name in cls.ignored:
            return True
        if isinstance(value, dict):
            value = {key: each for key, each in value.items() if each is not None}
            if name in cls.summands and all(each == 0 for each in value.values()):
                return True
        return value in ("", [], {}) or value in cls.neutral.get(name, ())


class _ImageURL(ReadObject):
    ignored = frozenset({"format"})

    url: String
    detail: Literal["auto", "low", "high"] | None = None

    @field_validator("detail", mode="before")
    @classmethod
    def _as_it_is(cls, detail: Any) -> Any:
        # The image goes on as it is anyway, and servers do not know the word.
        return None if detail in ("", "original") else detail


class PartRead(ReadObject):
    """A part of a turn: a text or an image. A refusal is a text that the model has said."""

    ignored = frozenset({"cache_control", "id", "index"})

    type: Literal["text", "image_url"]
    text: String | None = None
    image_url: _ImageURL | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_of_a_known_type(cls, said: Any) -> Any:
        kind = said.get("type") if isinstance(said, dict) else None
        if kind == "refusal" and "refusal" in said:
            said = {"type": "text", "text": said["refusal"]} | {
                name: value for name, value in said.items() if name not in ("type", "refusal")
            }
            kind = "text"
        if kind not in ("text", "image_url"):
            raise PydanticCustomError(
                "part_type", "parts of this type are not supported; send text and image_url"
            )
        other = "image_url" if kind == "text" else "text"
        if said.get(kind) is None or said.get(other):
            raise PydanticCustomError("part", "must hold type and what the type names, no more")
        return {name: value for name, value in said.items() if name != other}


_Text = Annotated[String, Tag("text")]
_Parts = Annotated[list[PartRead], Field(fail_fast=True), Tag("parts")]
_Content = Annotated[
    _Text | _Parts,
    Discriminator(lambda content: "parts" if isinstance(content, list) else "text"),
]


class MessageRead(ReadObject):
    """A turn. What an assistant thought before it spoke is no part of the conversation."""

    ignored = frozenset(
        {"name", "id", "cache_control", "weight"}
        | {"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"}
    )

    role: Literal["system", "developer", "user", "assistant"]
    content: _Content | None = None
    refusal: String | None = None


class _StreamOptions(ReadObject):
    neutral = {
        "include_obfuscation": (True, False),
        "continuous_usage_stats": (False,),
    }

    include_usage: bool = False


class _TemplateFields(ReadObject):
    """What a chat template is told; the one thing that all who think know."""

    enable_thinking: bool | None = None


class RequestBody(ReadObject):
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
        **dict.fromkeys(
            ("min_p", "min_tokens", "priority", "top_a", "xtc_probability", "dry_multiplier")
            + ("dynatemp_range", "mirostat", "no_repeat_ngram_size", "diversity_penalty"),
            (0,),
        ),
        **dict.fromkeys(
            ("repetition_penalty", "repeat_penalty", "length_penalty", "typical_p", "tfs_z")
            + ("best_of", "num_beams"),
            (1,),
        ),
        **dict.fromkeys(
            ("echo", "ignore_eos", "use_beam_search", "early_stopping", "add_special_tokens")
            + ("continue_final_message", "include_stop_str_in_output", "no_stop_trim")
            + ("return_token_ids", "return_tokens_as_token_ids"),
            (False,),
        ),
        **dict.fromkeys(
            ("add_generation_prompt", "skip_special_tokens", "spaces_between_special_tokens")
            + ("detokenize",),
            (True,),
        ),
    }
    summands = frozenset({"logit_bias"})

    model: String
    messages: list[MessageRead] = Field(min_length=1, fail_fast=True)
    n: Whole = Field(1, ge=1)
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    stop: list[Annotated[String, Field(max_length=1000)]] = Field([], max_length=4)
    seed: Whole | None = Field(None, ge=0, le=MAX_SEED)
    max_tokens: Whole | None = Field(None, ge=1)
    max_completion_tokens: Whole | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    chat_template_kwargs: _TemplateFields = _TemplateFields()

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, stop: Any) -> Any:
        stops = [stop] if isinstance(stop, str) else stop
        return [each for each in stops if each != ""] if isinstance(stops, list) else stops

    @field_validator("seed", mode="before")
    @classmethod
    def _any_seed_is_none(cls, seed: Any) -> Any:
        return None if seed == -1 else seed


def parsed_body(content: bytes, shape: type[_Body]) -> _Body:
    """Return the body of a request.

    Args:
        content: As it was received.
        shape: What it must be.

    Raises:
        RequestError: It is no JSON, or has a field that cannot be taken; the message names it.
    """
    return _validated(_parsed(content), shape)


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


def _validated(body: Any, shape: type[_Body]) -> _Body:
    if not isinstance(body, dict):
        raise RequestError("invalid_value", "the body is not a JSON object")
    try:
        return shape.model_validate(body)
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
