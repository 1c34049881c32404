"""A chat completion that arrives in pieces, put together again.

Covered: texts and thoughts in pieces of any size, cut anywhere; counts that come with the last
piece; a stream that ends without having said that it is complete.
Not covered: what the text means; that is the protocol's.
"""

from collections.abc import Callable
from typing import Any

from .limited_response import MAX_RESPONSE_BYTES, ResponseTooLarge
from .thought import THOUGHT_FIELDS, Said, said_in


# A token of most languages has about so many characters.
CHARS_PER_TOKEN = 4
_TEXT_FIELDS = ("content", *THOUGHT_FIELDS)


class StreamedCompletion:
    """What has arrived of a completion. Has no repr: it may be an unsafe draft.

    Attributes:
        tokens: About how many tokens it has so far.
    """

    def __init__(self) -> None:
        """Nothing has arrived."""
        self.tokens = 0
        self._parts: dict[str, list[str]] = {}
        self._pieces = 0
        self._chars = 0
        self._finish_reason: Any = None
        self._usage: Any = None

    def add(self, chunk: Any) -> None:
        """Take a piece, as it was received.

        Raises:
            ValueError, TypeError, KeyError, IndexError, AttributeError: It is none.
            ResponseTooLarge: All of it together is larger than is read.
        """
        self._usage = chunk.get("usage") or self._usage
        if not chunk["choices"]:
            return
        choice = chunk["choices"][0]
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta = choice.get("delta") or {}
        for name in _TEXT_FIELDS:
            if delta.get(name) is not None:
                self._take(name, delta[name])
        self.tokens = max(self._pieces, self._chars // CHARS_PER_TOKEN)

    @property
    def content(self) -> str:
        """The content so far, as it came."""
        return "".join(self._parts.get("content", []))

    def said(self) -> Said | None:
        """Return answer and thought so far; None: nothing has come."""
        return said_in(self._message())

    def body(self) -> dict[str, Any]:
        """Return the whole, as it would have come in one piece."""
        is_broken_off = bool(self._parts) and self._finish_reason is None
        choice = {
            "message": self._message(),
            "finish_reason": "error" if is_broken_off else self._finish_reason,
        }
        return {"choices": [choice], "usage": self._usage}

    def _take(self, name: str, text: str) -> None:
        self._chars += len(text)
        if self._chars > MAX_RESPONSE_BYTES:
            raise ResponseTooLarge
        self._parts.setdefault(name, []).append(text)
        self._pieces += bool(text)

    def _message(self) -> dict[str, str]:
        return {name: "".join(parts) for name, parts in self._parts.items()}


# Is told of a completion whenever more of it has arrived.
OnPiece = Callable[[StreamedCompletion], None]
