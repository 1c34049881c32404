"""A chat completion that arrives in pieces, put together again.

Covered: texts and thoughts in pieces of any size, cut anywhere; counts that come with every piece,
with the last one or not at all; a stream that ends without having said that it is complete.
Not covered: what the text means; that is the protocol's.
"""

from collections.abc import Callable
from typing import Any

from .thought import THOUGHT_FIELDS, Said, said_in


# Far above any chat completion, its log-probabilities and a list of models.
MAX_RESPONSE_BYTES = 4 * 2**20
# A token of most languages has about so many characters.
_CHARS_PER_TOKEN = 4
_LARGEST_COUNT = 2**31
_TEXT_FIELDS = ("content", *THOUGHT_FIELDS)


class ResponseTooLarge(Exception):
    """A model server's response is larger than is read, or compressed unasked."""


class StreamedCompletion:
    """What has arrived of a completion. Has no repr: it may be an unsafe draft.

    Attributes:
        chars: How many characters of text and thought it has so far.
    """

    def __init__(self) -> None:
        """Nothing has arrived."""
        self.chars = 0
        self._parts: dict[str, list[str]] = {}
        self._pieces = 0
        self._finish_reason: Any = None
        self._usage: Any = None
        self._tokens = 0

    def add(self, chunk: Any) -> None:
        """Take a piece, as it was received.

        Raises:
            ValueError, TypeError, KeyError, IndexError, AttributeError: It is none.
            ResponseTooLarge: All of it together is larger than is read.
        """
        if chunk.get("usage"):
            self._tokens = count_of(chunk["usage"].get("completion_tokens"))
            self._usage = chunk["usage"]
        if not chunk["choices"]:
            return
        choice = chunk["choices"][0]
        delta = choice.get("delta") or {}
        for name in _TEXT_FIELDS:
            if delta.get(name) is not None:
                self._take(name, delta[name])
        if choice.get("finish_reason"):
            self._finish_reason = choice["finish_reason"]
            self._parts.setdefault("content", [])  # it may have ended before it said anything

    @property
    def tokens(self) -> int:
        """How many tokens it has so far; about so many where the server does not say."""
        return self._tokens or max(self._pieces, self.chars // _CHARS_PER_TOKEN)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the prompt has; 0 where the server has not said."""
        return count_of((self._usage or {}).get("prompt_tokens"))

    @property
    def content(self) -> str:
        """The content so far, as it came."""
        return "".join(self._parts.get("content", []))

    def said(self) -> Said | None:
        """Return answer and thought so far; None: nothing has come."""
        return said_in(self._message())

    def body(self, is_cut_short: bool = False) -> dict[str, Any]:
        """Return the whole, as it would have come in one piece.

        Args:
            is_cut_short: Whether it was the reader who ended it, on purpose.
        """
        finish_reason = self._finish_reason
        if finish_reason is None and self._parts:
            finish_reason = "length" if is_cut_short else "error"
        choice = {"message": self._message(), "finish_reason": finish_reason}
        return {"choices": [choice], "usage": self._usage}

    def _take(self, name: str, text: str) -> None:
        text.encode("utf-8")  # half a character is an error here, not where it is passed on
        self.chars += len(text)
        if self.chars > MAX_RESPONSE_BYTES:
            raise ResponseTooLarge
        self._parts.setdefault(name, []).append(text)
        self._pieces += bool(text)

    def _message(self) -> dict[str, str]:
        return {name: "".join(parts) for name, parts in self._parts.items()}


# Is told of a completion whenever more of it has arrived.
OnPiece = Callable[[StreamedCompletion], None]


def count_of(value: Any) -> int:
    """Return a count that a server has said; 0 where it is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= _LARGEST_COUNT else 0
