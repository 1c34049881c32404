"""What a request asks for, within the limits of the gateway.

Covered: texts and images in user turns, texts in the others, how answers are to be written.
Not covered: images themselves, see `images`; tools, audio, files and structured outputs, which are
refused, because nothing would judge them.
"""

from dataclasses import dataclass, replace

from ..endpoint.chat import Message, Part
from ..endpoint.sampling import Sampling
from .config import Limits
from .errors import RequestError
from .request_body import MAX_SEED, MessageRead, PartRead, RequestBody, parsed_body, wrong


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
        return replace(self.sampling, seed=(self.sampling.seed + index) % MAX_SEED)


def read_request(content: bytes, served_name: str, limits: Limits) -> ChatRequest:
    """Return what a request asks for.

    Args:
        content: Its body.
        served_name: The one model there is.
        limits: What one request may ask for.

    Raises:
        RequestError: Something in it cannot be served; the message names the field.
    """
    return chat_request(parsed_body(content, RequestBody), served_name, limits)


def chat_request(
    body: RequestBody, served_name: str, limits: Limits, at: str = "messages"
) -> ChatRequest:
    """Return what a request's body asks for.

    Args:
        body: The body, its fields checked one by one.
        served_name: The one model there is.
        limits: What one request may ask for.
        at: The field that the messages stand in.

    Raises:
        RequestError: Something in it cannot be served; the message names the field.
    """
    if body.model != served_name:
        raise RequestError("model_not_found", f"model: this server has {served_name!r}", "model")
    if body.n > limits.choices:
        raise wrong("n", f"must be at most {limits.choices}")
    return ChatRequest(
        messages=_messages(body.messages, limits.text_chars, at),
        sampling=Sampling(
            max_tokens=_token_limit(body, limits.tokens),
            temperature=body.temperature,
            top_p=body.top_p,
            stop=tuple(body.stop) or None,
            seed=body.seed,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            enable_thinking=body.chat_template_kwargs.enable_thinking,
            reasoning_effort=body.reasoning_effort,
        ),
        choices=body.n,
        streams=body.stream,
        includes_usage=body.stream_options.include_usage,
    )


def _token_limit(body: RequestBody, most: int) -> int | None:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) == 2:
        raise wrong("max_completion_tokens", "differs from max_tokens; give one of them")
    limit = body.max_completion_tokens or body.max_tokens
    if limit is not None and limit > most:
        name = "max_tokens" if body.max_tokens else "max_completion_tokens"
        raise wrong(name, f"must be at most {most}")
    return limit


def _messages(messages: list[MessageRead], most_chars: int, at: str) -> list[Message]:
    chars = 0
    for i, message in enumerate(messages):
        parts = message.content if isinstance(message.content, list) else []
        for j, part in enumerate(parts):
            if part.image_url and message.role != "user":
                raise wrong(f"{at}[{i}].content[{j}]", "images are for user messages alone")
            chars += len(part.text or "")
        chars += len(message.content) if isinstance(message.content, str) else 0
        chars += len(message.refusal or "")
    if chars > most_chars:
        raise RequestError(
            "text_too_large", f"the messages have more than {most_chars} characters", at
        )
    if messages[-1].role != "user":
        raise wrong(at, "the last must be the user's; answers cannot be continued")
    read = [_message(message) for message in messages]
    if not read[-1]["content"]:
        at = f"{at}[{len(messages) - 1}].content"
        raise wrong(at, "the last message must hold a text or an image")
    return read


def _message(message: MessageRead) -> Message:
    content: str | list[Part] = message.refusal or ""
    if isinstance(message.content, str) and message.content:
        content = message.content
    elif message.content:
        # An empty text beside others says nothing.
        content = [_part(part) for part in message.content if part.text != ""] or content
    return {"role": "system" if message.role == "developer" else message.role, "content": content}


def _part(part: PartRead) -> Part:
    if part.image_url is None:
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": part.image_url.model_dump(exclude_none=True)}
