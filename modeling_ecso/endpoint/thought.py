"""What a model thinks before it answers, taken out of a message.

Covered: a thought in a field of its own, as servers with a reasoning parser give it; one that
stands in the content between marks, or before a closing mark where the chat template wrote the
opening one; one that was cut short.
Not covered: a thought in the content of which neither mark was written.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


# The names that servers use, the commoner first.
THOUGHT_FIELDS = ("reasoning_content", "reasoning")
IN_CONTENT = "content"
# What stands in a mark is not judged, so a vendor's name has no room for more.
_NAMES = "(?:[a-z]{1,12}:)?(?:think|thinking|thought|reasoning)"
_OPENING = re.compile(
    rf"\s*(?:<{_NAMES}>|◁think▷|\[THINK\]|<\|START_THINKING\|>|<\|channel>thought\b)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"</{_NAMES}>|◁/think▷|\[/THINK\]|<\|END_THINKING\|>|<channel\|>", re.IGNORECASE
)


class Said(NamedTuple):
    """What a message says.

    Args:
        text: The answer.
        thought: What was thought before it, empty where nothing was.
        field: The field that the thought came in; None where there is none.
    """

    text: str
    thought: str = ""
    field: str | None = None


def said_in(message: Mapping[str, Any]) -> Said | None:
    """Return what a message, or what has been streamed of it, says; None: nothing at all.

    Args:
        message: Its ``content``, and the fields of thoughts.

    Raises:
        TypeError: A field holds something other than text.
    """
    content = message.get("content")
    thoughts = {name: message[name] for name in THOUGHT_FIELDS if message.get(name)}
    if not all(isinstance(text, str) for text in (content or "", *thoughts.values())):
        raise TypeError
    for field, thought in thoughts.items():
        return Said((content or "").strip(), thought.strip(), field)
    return None if content is None else _split(content)


def _split(content: str) -> Said:
    opening = _OPENING.match(content)
    # Behind the last one: whatever stands before it, a reader takes for thought.
    closing = max(_CLOSING.finditer(content), key=lambda mark: mark.start(), default=None)
    start = opening.end() if opening else 0
    if closing is not None and closing.start() >= start:
        thought, text = content[start : closing.start()], content[closing.end() :]
    elif opening:
        thought, text = content[start:], ""
    else:
        return Said(content.strip())
    return Said(text.strip(), thought.strip(), IN_CONTENT)
