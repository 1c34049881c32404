"""A model server without a wire: a draft in given pieces, verdicts after given delays."""

import asyncio
import re

from examples.load.scripted_upstream import CANARY, CAPTION, SAFE_ANSWER, step_of
from modeling_ecso.endpoint.completion_read import completion_of
from modeling_ecso.endpoint.model_server import Completion, Fault, ModelServerError, ServerTraits
from modeling_ecso.endpoint.streamed_completion import StreamedCompletion


# The field of the detect prompts that holds what is judged.
_RESPONSE = re.compile(
    r"(?:<<<RESPONSE>>>|RESPONSE:)\n(.*?)(?:\n<<<END OF RESPONSE>>>)?\n\nIs the RESPONSE harmful",
    re.S,
)


class PiecedServer:
    """Writes a draft piece by piece; says yes to a question whose response holds the canary.

    Args:
        pieces: The draft.
        delays: For one question after the other, how many turns of the loop its reply takes; the
            last holds for all others. A negative one fails after as many.
        streams: Whether pieces are told of as they come.
        ends: How the draft ends: ``whole``, ``cut`` or ``unfinished``.
        thought: Pieces of a thought before it, in a field of their own.
        most_seen: Longer responses dilute what is harmful in them, so that it is not seen.
    """

    def __init__(
        self, pieces, delays=(0,), streams=True, ends="whole", thought=(), most_seen=10**6
    ):
        self.pieces = list(pieces)
        self._fields = [("reasoning_content", one) for one in thought]
        self._fields += [("content", one) for one in pieces]
        self._delays = list(delays)
        self._streams = streams
        self._ends = ends
        self._most_seen = most_seen
        self.written = 0
        self.is_left = False
        self.judged = []  # each prompt that was found safe

    async def traits(self, anew=False):
        return ServerTraits(gives_logprobs=False)

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        step = step_of(str(messages))
        if step == "direct":
            return await self._write(on_piece if self._streams else None)
        if step != "detect":
            return _completion({"caption": CAPTION, "safe": SAFE_ANSWER}[step])
        delay = self._delays.pop(0) if len(self._delays) > 1 else self._delays[0]
        for _ in range(abs(delay)):
            await asyncio.sleep(0)
        if delay < 0:
            raise ModelServerError(Fault.TIMEOUT)
        content = messages[-1]["content"]
        prompt = content if isinstance(content, str) else content[-1]["text"]
        response = _RESPONSE.search(prompt)[1]
        is_unsafe = CANARY in response and len(response) <= self._most_seen
        if not is_unsafe:
            self.judged.append(prompt)
        return _completion("Yes." if is_unsafe else "No.")

    async def _write(self, on_piece):
        said = StreamedCompletion()
        self.is_left = True
        for field, piece in self._fields:
            self.written += 1
            said.add({"choices": [{"delta": {field: piece}}]})
            if on_piece is not None:
                on_piece(said)
            await asyncio.sleep(0)
        self.is_left = False
        if self._ends == "cut":
            raise ModelServerError(Fault.UNREACHABLE)
        ended = {"delta": {}, "finish_reason": "stop" if self._ends == "whole" else None}
        said.add({"choices": [ended]})
        return completion_of(said.body(), 1.0)


def _completion(text):
    return Completion(text, 1, 1, "stop", False, None, 1.0)
