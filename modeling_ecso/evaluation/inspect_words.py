"""From Inspect's words to those of the chat completions API, and back."""

from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
    StopReason,
)

from ..endpoint.chat import Message
from ..endpoint.model_server import Completion
from ..endpoint.run import EndpointRun
from ..endpoint.sampling import Sampling
from ..events_ecso import Step
from .samples import READ_AS_TEXT


_ROLES = ("system", "user", "assistant")


def as_chat_takes_it(message: ChatMessage) -> Message:
    """Return a message in the words of the chat completions API.

    Raises:
        ValueError: It has a part that is neither text nor an image, or comes from a tool.
    """
    if message.role not in _ROLES:
        raise ValueError(f"a message has the role {message.role}; run a task without tools")
    if isinstance(message.content, str):
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, ContentImage):
            parts.append({"type": "image_url", "image_url": {"url": part.image}})
        elif isinstance(part, ContentText):
            parts.append({"type": "text", "text": part.text})
        else:
            raise ValueError(f"a message has a part of type {part.type}; give text and images")
    return {"role": message.role, "content": parts}


def sampling_of(config: GenerateConfig) -> Sampling:
    """Return how an answer is to be written."""
    return Sampling(
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        stop=tuple(config.stop_seqs) if config.stop_seqs else None,
        seed=config.seed,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
    )


def direct_output(model_name: str, said: Completion) -> ModelOutput:
    """Return what a model answered without the protocol."""
    return _output(
        model_name, said.text, said.finish_reason, said.prompt_tokens, said.tokens, trace=None
    )


def protected_output(
    model_name: str, run: EndpointRun, draft: Completion | None = None
) -> ModelOutput:
    """Return the answer and the trace of a run, and as its usage all that was asked and written.

    Args:
        model_name: As Inspect names it.
        run: The run, at its end.
        draft: The draft, where it was written before, for the time that took.
    """
    trace = run.trace.to_dict()
    if run.reads_text_instead:
        trace[READ_AS_TEXT] = True
    if draft is not None:
        for step in trace["steps"]:
            if step["step"] == Step.DIRECT:
                step["ms"] = round(draft.milliseconds, 1)
    return _output(
        model_name,
        run.answer.text,
        run.answer.finish_reason,
        sum(run.prompt_tokens.values()),
        sum(run.tokens.values()),
        trace,
    )


def _output(
    model_name: str,
    text: str,
    finish_reason: str,
    prompt_tokens: int,
    tokens: int,
    trace: dict[str, Any] | None,
) -> ModelOutput:
    stop_reason: StopReason = "max_tokens" if finish_reason == "length" else "stop"
    output = ModelOutput.from_content(model_name, text, stop_reason)
    output.usage = ModelUsage(
        input_tokens=prompt_tokens, output_tokens=tokens, total_tokens=prompt_tokens + tokens
    )
    output.metadata = {"ecso": trace} if trace else None
    return output
