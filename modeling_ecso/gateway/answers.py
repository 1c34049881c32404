"""All answers to one request: run side by side, judged one by one, put into the API's shapes."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

from ..endpoint.chat import Chat
from ..endpoint.model_server import ModelServerError
from ..endpoint.reason import Reason
from ..endpoint.run import EndpointRun
from ..events_ecso import Step
from .context import GatewayContext
from .requests import ChatRequest


# An answer is there as a whole when it may be shown; it goes out in pieces of so many words.
_WORDS_PER_CHUNK = 8


class Answers:
    """The answers to one request. Has no repr: drafts are in its runs until they are judged.

    Args:
        context: What all requests share.
        asked: The request, its images checked.
    """

    def __init__(self, context: GatewayContext, asked: ChatRequest):
        """Prepare the runs; nothing is asked yet."""
        config = context.config
        chat = Chat.of_messages(asked.messages, config.trusts_system)
        limit = asyncio.Semaphore(config.limits.parallel_calls)
        self._runs = [
            EndpointRun(
                context.server,
                chat,
                config.ecso,
                asked.sampling_of(index),
                index,
                max_prompts=config.limits.windows,
                limit=limit,
                step_fields=config.step_fields,
                observes=config.observes,
            )
            for index in range(asked.choices)
        ]
        self._asked = asked
        self._shows_trace = config.shows_trace
        self._observes = config.observes
        self._metrics = context.metrics
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": config.served_name,
        }

    async def settle(self) -> None:
        """Run the protocol for every answer; the first failure ends the others.

        Raises:
            ModelServerError: There is no draft.
            ECSOStepError: A later step failed and ``on_error`` is ``raise``.
            ExceptionGroup: Of these, where there are several answers.
        """
        if len(self._runs) == 1:
            await self._settle_one(self._runs[0])
            return
        async with asyncio.TaskGroup() as group:
            for run in self._runs:
                group.create_task(self._settle_one(run))

    @property
    def reason(self) -> Reason | None:
        """Why the first answer that is not the model's own is none; None: all are."""
        if self._observes:
            return None
        return next((run.reason for run in self._runs if run.reason), None)

    def body(self) -> dict[str, Any]:
        """Return the chat completion."""
        choices = [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": run.answer.text,
                    **_thought(run.answer.thought_field, run.answer.thought),
                },
                "finish_reason": run.answer.finish_reason,
                "logprobs": None,
            }
            for index, run in enumerate(self._runs)
        ]
        return {
            **self._head,
            "object": "chat.completion",
            "choices": choices,
            "usage": self._usage(),
            **self._traces(),
        }

    def events(self) -> Iterator[bytes]:
        """Yield the same as server-sent events."""
        for index, run in enumerate(self._runs):
            yield self._event([_delta(index, {"role": "assistant", "content": ""})])
            for piece in pieces_of(run.answer.thought):
                yield self._event([_delta(index, _thought(run.answer.thought_field, piece))])
            for piece in pieces_of(run.answer.text):
                yield self._event([_delta(index, {"content": piece})])
            is_last = index == len(self._runs) - 1
            extra = self._traces() if is_last else {}
            yield self._event([_delta(index, {}, run.answer.finish_reason)], **extra)
        if self._asked.includes_usage:
            yield self._event([], usage=self._usage())
        yield b"data: [DONE]\n\n"

    async def _settle_one(self, run: EndpointRun) -> None:
        try:
            async for event in run:
                self._metrics.count_step(event)
        except ModelServerError as error:
            self._metrics.count_fault(Step.DIRECT, error)
            raise
        finally:
            if run.is_over:
                self._metrics.count_run(run)

    def _usage(self) -> dict[str, Any]:
        """Return the counts a client knows: its prompt, and the answers it was given."""
        prompt = self._runs[0].prompt_tokens.get(Step.DIRECT, 0)
        answers = sum(run.answer.tokens for run in self._runs)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": answers,
            "total_tokens": prompt + answers,
        }

    def _traces(self) -> dict[str, Any]:
        """Return why each answer is what it is, what was done for it and what that cost."""
        traces = [self._trace_of(run) for run in self._runs]
        if self._observes:
            traces = [{"reason": None, "would_be": trace} for trace in traces]
        return {"ecso": traces}

    def _trace_of(self, run: EndpointRun) -> dict[str, Any]:
        if not self._shows_trace:
            return {"reason": run.reason}
        spent = {
            "prompt": sum(run.prompt_tokens.values()),
            "completion": sum(record.tokens for record in run.trace.steps),
        }
        return {"reason": run.reason, **run.trace.to_dict(), "model_server_tokens": spent}

    def _event(self, choices: list[dict[str, Any]], **extra: Any) -> bytes:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices, **extra}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def pieces_of(text: str) -> list[str]:
    """Return a text cut into pieces of some words each; joined, they are the text."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+", text)
    return [
        "".join(words[start : start + _WORDS_PER_CHUNK])
        for start in range(0, len(words), _WORDS_PER_CHUNK)
    ]


def _thought(field: str | None, thought: str) -> dict[str, str]:
    return {field: thought} if field else {}


def _delta(index: int, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
