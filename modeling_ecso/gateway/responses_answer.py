"""An answer as a response: the object of `/v1/responses`, and the events of its stream.

The protocol is run as for a chat completion; only the words differ. A stream begins when the answer
is settled, in whichever way chat completions are streamed: a response has no event by which a text
that was shown could be replaced.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..endpoint.reason import Reason
from .answers import Answers
from .context import GatewayContext
from .errors import RequestError
from .responses_body import ResponsesRequest
from .streamed_choice import pieces_of


class ResponseAnswer:
    """The answer to one request. Has no repr: the draft is in its run until it is judged.

    Args:
        context: What all requests share.
        asked: The request, its images checked.

    Attributes:
        news: Set when there is something for `take_events`.
    """

    def __init__(self, context: GatewayContext, asked: ResponsesRequest):
        """Prepare the run; nothing is asked yet."""
        self.news = asyncio.Event()
        self._asked = asked
        self._answers = Answers(context, replace(asked, streams=False))
        self._is_settled = False

    async def settle(self) -> None:
        """Run the protocol; raises as `Answers.settle`."""
        await self._answers.settle()
        self._is_settled = True
        self.news.set()

    @property
    def reason(self) -> Reason | None:
        """Why the answer is not the model's own; None: it is."""
        return self._answers.reason

    def body(self) -> dict[str, Any]:
        """Return the response."""
        completion = self._answers.body()
        (choice,) = completion["choices"]
        broken_off = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(
            choice["finish_reason"]
        )
        usage = completion["usage"]
        return {
            **self._head(completion),
            "status": "incomplete" if broken_off else "completed",
            "incomplete_details": {"reason": broken_off} if broken_off else None,
            "output": _items(completion["id"], choice["message"], bool(broken_off)),
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": usage["completion_tokens"],
                # Those of a thought are among them; servers of chat completions count none apart.
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage["total_tokens"],
            },
            "ecso": completion["ecso"],
        }

    def take_events(self) -> list[bytes]:
        """Return the events of the stream, once there are any."""
        self.news.clear()
        if not self._is_settled:
            return []
        self._is_settled = False
        numbered = enumerate(_events(self.body()))
        return [_as_event({**event, "sequence_number": number}) for number, event in numbered]

    @staticmethod
    def failure_event(error: RequestError) -> bytes:
        """Return what ends a stream that has begun and gets no answer."""
        told = {"code": error.code, "message": str(error), "param": error.param}
        reason = {"ecso": error.body()["ecso"]}
        return _as_event({"type": "error", **told, "sequence_number": 0, **reason})

    def _head(self, completion: dict[str, Any]) -> dict[str, Any]:
        sampling = self._asked.sampling
        return {
            "id": f"resp_{_number(completion['id'])}",
            "object": "response",
            "created_at": completion["created"],
            "model": completion["model"],
            "instructions": self._asked.instructions,
            "max_output_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "reasoning": {"effort": sampling.reasoning_effort, "summary": None},
            "text": {"format": {"type": "text"}},
            "truncation": "disabled",
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": self._asked.parallel_tool_calls,
            "previous_response_id": None,
            "store": False,
            "background": False,
            "metadata": self._asked.metadata,
            "error": None,
        }


def _items(name: str, message: dict[str, Any], is_cut: bool) -> list[dict[str, Any]]:
    """Return the output: the thought, where there is one, and the message."""
    status = "incomplete" if is_cut else "completed"
    thought = message.get("reasoning_content") or message.get("reasoning")
    said = {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
    items = []
    if thought:
        content = [{"type": "reasoning_text", "text": thought}]
        items.append(
            {"type": "reasoning", "id": f"rs_{_number(name)}", "summary": [], "content": content}
        )
    items.append(
        {
            "type": "message",
            "id": f"msg_{_number(name)}",
            "status": status,
            "role": "assistant",
            "content": [said],
        }
    )
    return items


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a stream says of a response that is there as a whole."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    del begun["ecso"]
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        of_item = {"output_index": index}
        empty = {**item, "content": [], **({"status": "in_progress"} if "status" in item else {})}
        yield {"type": "response.output_item.added", **of_item, "item": empty}
        (part,) = item["content"]
        of_part = {**of_item, "item_id": item["id"], "content_index": 0}
        logprobs: dict[str, Any] = {"logprobs": []} if part["type"] == "output_text" else {}
        yield {"type": "response.content_part.added", **of_part, "part": {**part, "text": ""}}
        for piece in pieces_of(part["text"]):
            yield {"type": f"response.{part['type']}.delta", **of_part, "delta": piece, **logprobs}
        yield {"type": f"response.{part['type']}.done", **of_part, "text": part["text"], **logprobs}
        yield {"type": "response.content_part.done", **of_part, "part": part}
        yield {"type": "response.output_item.done", **of_item, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def _as_event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _number(completion_id: str) -> str:
    return completion_id.removeprefix("chatcmpl-")
