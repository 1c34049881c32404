"""One choice of a stream: what its reader has seen, and the chunks that tell of it.

Covered: texts in pieces; an answer that begins to be seen before it is whole; one that turns out
not to be the answer after all, which a chunk with an ``ecso_event`` says.
Not covered: when something may be seen; that is the run's.
"""

import re
from collections.abc import Callable
from typing import Any

from ..endpoint.run import REFUSED, EndpointAnswer


# An answer that is there as a whole goes out in pieces of so many words.
_WORDS_PER_CHUNK = 8
# Sends a chunk with these choices, and further fields.
SendChunk = Callable[[list[dict[str, Any]], dict[str, Any]], None]


class StreamedChoice:
    """A choice of a stream. Has no repr: it holds what was seen.

    Args:
        index: Its place among the choices.
        send: Sends its chunks.

    Attributes:
        was_replaced: Whether something was seen that is not the answer.
    """

    def __init__(self, index: int, send: SendChunk):
        """Nothing has been seen."""
        self.was_replaced = False
        self._index = index
        self._send = send
        self._seen = ""
        self._has_begun = False

    def show_up_to(self, text: str) -> None:
        """Send what is new in the answer as far as it may be seen; see `Reader`."""
        new = text[len(self._seen) :]
        if new and text.startswith(self._seen):
            self._say({"content": new})
            self._seen = text

    def withdraw(self) -> None:
        """Say that what was seen is void, if anything was; see `Reader`."""
        if self._seen:
            self.was_replaced = True
            self._seen = ""
            self._say({}, ecso_event={"type": "replace", "index": self._index})

    def finish(self, answer: EndpointAnswer, **further: Any) -> None:
        """Send all of the answer that has not been seen, and how it ended.

        Args:
            answer: The answer.
            **further: Fields for the last chunk.
        """
        if not answer.text.startswith(self._seen):
            self.withdraw()
        self._begin()
        for piece in pieces_of(answer.thought):
            self._say({answer.thought_field or "": piece})
        for piece in pieces_of(answer.text[len(self._seen) :]):
            self._say({"content": piece})
        finish_reason = REFUSED if self.was_replaced else answer.finish_reason
        self._say({}, finish_reason, **further)

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._say({"role": "assistant", "content": ""})

    def _say(self, delta: dict[str, str], finish_reason: str | None = None, **further: Any) -> None:
        self._begin()
        choice = {"index": self._index, "delta": delta, "finish_reason": finish_reason}
        self._send([{**choice, "logprobs": None}], further)


def pieces_of(text: str) -> list[str]:
    """Return a text cut into pieces of some words each; joined, they are the text."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+", text)
    return [
        "".join(words[start : start + _WORDS_PER_CHUNK])
        for start in range(0, len(words), _WORDS_PER_CHUNK)
    ]
