"""All answers to one request: run side by side, judged one by one, put into the API's shapes."""

import asyncio
import json
import time
import uuid
from typing import Any

from ..endpoint.chat import Chat
from ..endpoint.model_server import ModelServerError
from ..endpoint.reason import Reason
from ..endpoint.run import EndpointRun
from ..events_ecso import Step
from .context import GatewayContext
from .errors import RequestError
from .requests import ChatRequest
from .streamed_choice import StreamedChoice


class Answers:
    """The answers to one request. Has no repr: drafts are in its runs until they are judged.

    Args:
        context: What all requests share.
        asked: The request, its images checked.

    Attributes:
        news: Set whenever there is something for `take_events`.
    """

    def __init__(self, context: GatewayContext, asked: ChatRequest):
        """Prepare the runs; nothing is asked yet."""
        config = context.config
        chat = Chat.of_messages(asked.messages, config.trusts_system)
        limit = asyncio.Semaphore(config.limits.parallel_calls)
        self.news = asyncio.Event()
        self._events: list[bytes] = []
        self._streamed = [StreamedChoice(index, self._send) for index in range(asked.choices)]
        self._ended = 0
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
                reader=self._streamed[index] if asked.streams else None,
            )
            for index in range(asked.choices)
        ]
        self._asked = asked
        self._shows_trace = config.shows_trace
        self._observes = config.observes
        # Else all are told together, so that a failure of one is still a status.
        self._ends_each = config.observes or config.ecso.stream == "windows"
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
            await self._settle_one(0)
        else:
            async with asyncio.TaskGroup() as group:
                for index in range(len(self._runs)):
                    group.create_task(self._settle_one(index))
        if self._asked.streams:
            for index in range(self._ended, len(self._runs)):
                self._end(index)
            if self._asked.includes_usage:
                self._send([], {"usage": self._usage()})
            self._put(b"data: [DONE]\n\n")

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

    def take_events(self) -> list[bytes]:
        """Return the server-sent events that have come up since the last call, in order."""
        self.news.clear()
        taken, self._events = self._events, []
        return taken

    @staticmethod
    def failure_event(error: RequestError) -> bytes:
        """Return what ends a stream that has begun and gets no answer."""
        return f"data: {json.dumps(error.body(), ensure_ascii=False)}\n\n".encode()

    async def _settle_one(self, index: int) -> None:
        run = self._runs[index]
        try:
            async for event in run:
                self._metrics.count_step(event)
        except ModelServerError as error:
            self._metrics.count_fault(Step.DIRECT, error)
            raise
        finally:
            self._metrics.count_tokens(run)
            if run.is_over:
                self._metrics.count_run(run)
            if self._streamed[index].was_replaced:
                self._metrics.replaced.inc()
        if self._ends_each and self._asked.streams:
            self._end(index)

    def _end(self, index: int) -> None:
        """Tell the rest of an answer; the last one to end tells what was done for all."""
        self._ended += 1
        further = self._traces() if self._ended == len(self._runs) else {}
        self._streamed[index].finish(self._runs[index].answer, **further)

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
            "completion": sum(run.tokens.values()),
        }
        return {"reason": run.reason, **run.trace.to_dict(), "model_server_tokens": spent}

    def _send(self, choices: list[dict[str, Any]], further: dict[str, Any]) -> None:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices, **further}
        self._put(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())

    def _put(self, event: bytes) -> None:
        self._events.append(event)
        self.news.set()


def _thought(field: str | None, thought: str) -> dict[str, str]:
    return {field: thought} if field else {}
