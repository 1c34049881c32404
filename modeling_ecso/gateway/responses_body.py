"""The body of a responses request, and the chat request that it stands for.

Covered: a text or messages as input, with texts and images; instructions; reasoning effort; what
asks for nothing, as everywhere; what comes back as it was sent, within the API's limits.
Not covered, and refused by name: whatever this server would have to keep (``store``,
``previous_response_id``, ``conversation``, ``background``), tools, files, structured outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from .config import Limits
from .errors import RequestError
from .request_body import (
    MessageRead,
    ReadObject,
    RequestBody,
    String,
    Whole,
    parsed_body,
    wrong,
)
from .requests import ChatRequest, chat_request


def _refuse_state(value: Any) -> None:
    """Refuse what would have to be kept; null, false and empty ask for nothing."""
    if value:
        raise PydanticCustomError(
            "stateless",
            "nothing is kept between requests; leave it out and send the whole conversation",
        )


_State = Annotated[None, BeforeValidator(_refuse_state)]
_Name = Annotated[String, Field(max_length=64)]
_Note = Annotated[String, Field(max_length=512)]


class ItemRead(MessageRead):
    """An item of the input: a message."""

    ignored = MessageRead.ignored | {"status", "phase"}

    type: Literal["message"] = "message"

    @field_validator("content", mode="before")
    @classmethod
    def _in_words_of_chat(cls, content: Any) -> Any:
        return [_chat_part(part) for part in content] if isinstance(content, list) else content


def _chat_part(part: Any) -> Any:
    """Return a part as chat completions have it; one that they do not have as it is."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text"):
        said = {
            name: each for name, each in part.items() if name not in ("annotations", "logprobs")
        }
        return {**said, "type": "text"}
    if kind == "input_image":
        image = {"url": part.get("image_url"), "detail": part.get("detail")}
        said = {name: part[name] for name in part if name not in ("image_url", "detail")}
        return {**said, "type": "image_url", "image_url": image if image["url"] else None}
    if kind == "refusal":
        return part
    raise PydanticCustomError(
        "part_type", "parts of this type are not supported; send input_text and input_image"
    )


class _Reasoning(ReadObject):
    """How much to think; a summary of it is what nobody makes here."""

    neutral = {"summary": ("auto",), "generate_summary": ("auto",)}

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class ResponsesBody(ReadObject):
    """A whole request for `/v1/responses`."""

    ignored = RequestBody.ignored - {"metadata", "parallel_tool_calls"}
    neutral = {
        "stream_options": ({"include_obfuscation": True}, {"include_obfuscation": False}),
        "truncation": ("disabled",),
        "tool_choice": ("none", "auto"),
        "top_logprobs": (0,),
        "text": (
            {"format": {"type": "text"}},
            {"verbosity": "medium"},
            {"format": {"type": "text"}, "verbosity": "medium"},
        ),
    }

    model: String
    input: list[ItemRead] = Field(min_length=1, fail_fast=True)
    instructions: String | None = None
    stream: bool = False
    max_output_tokens: Whole | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    reasoning: _Reasoning = _Reasoning()
    metadata: dict[_Name, _Note] = Field({}, max_length=16)
    parallel_tool_calls: bool = True
    store: _State = None
    previous_response_id: _State = None
    conversation: _State = None
    background: _State = None

    @field_validator("input", mode="before")
    @classmethod
    def _messages_alone(cls, said: Any) -> Any:
        if isinstance(said, str):
            return [{"role": "user", "content": said}]
        if not isinstance(said, list):
            return said
        # What was thought before an earlier answer is no part of the conversation.
        kept = [one for one in said if not isinstance(one, dict) or one.get("type") != "reasoning"]
        for one in kept:
            if isinstance(one, dict) and one.get("type") not in (None, "message"):
                raise PydanticCustomError(
                    "part_type", "items of this type are not supported; send messages"
                )
        return kept


@dataclass(frozen=True, repr=False)
class ResponsesRequest(ChatRequest):
    """A request for a response. Has no repr: it holds the user's text.

    Args:
        instructions: What was said to the model in front of the conversation.
        metadata: The client's own; it goes to nobody else.
        parallel_tool_calls: As it was sent; there are no tools.
    """

    instructions: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    parallel_tool_calls: bool = True


def read_responses_request(content: bytes, served_name: str, limits: Limits) -> ResponsesRequest:
    """Return what a request for a response asks for.

    Args:
        content: Its body.
        served_name: The one model there is.
        limits: What one request may ask for.

    Raises:
        RequestError: Something in it cannot be served; the message names the field.
    """
    body = parsed_body(content, ResponsesBody)
    if body.max_output_tokens is not None and body.max_output_tokens > limits.tokens:
        raise wrong("max_output_tokens", f"must be at most {limits.tokens}")
    if len(body.instructions or "") > limits.text_chars:
        what = f"instructions: more than {limits.text_chars} characters"
        raise RequestError("text_too_large", what, "instructions")
    same = {
        "model": body.model,
        "messages": body.input,
        "stream": body.stream,
        "max_completion_tokens": body.max_output_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "reasoning_effort": body.reasoning.effort,
    }
    asked = chat_request(RequestBody.model_validate(same), served_name, limits, at="input")
    kept = {each.name: getattr(asked, each.name) for each in fields(asked)}
    if body.instructions:
        first = {"role": "system", "content": body.instructions}
        kept["messages"] = [first, *asked.messages]
    return ResponsesRequest(
        **kept,
        instructions=body.instructions,
        metadata=body.metadata,
        parallel_tool_calls=body.parallel_tool_calls,
    )
