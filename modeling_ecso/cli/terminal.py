"""The one way to the terminal: what a model or a user wrote cannot steer it.

Escape sequences could move the cursor, change what was printed, or reach the clipboard; marks that
turn the direction of writing could let a text read otherwise than it is. Colours are the
commands' own, and off where the output is no terminal.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text


# Controls but tab and line end, turns of direction, halves of characters (print() refuses them).
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class TerminalConsole(Console):
    """A rich console that leaves out what would steer the terminal."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as the parent class does; what is left out took no room there either."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def console(*, to_stderr: bool = False, is_quiet: bool = False) -> TerminalConsole:
    """Return a console.

    Args:
        to_stderr: Print to standard error.
        is_quiet: Print nothing.
    """
    return TerminalConsole(stderr=to_stderr, quiet=is_quiet, highlight=False)


def at_work(text: str, screen: TerminalConsole | None = None) -> Status:
    """Return what says on a terminal, while it is open, what takes so long.

    Args:
        text: What is being done.
        screen: Where it is said, if that is a terminal; None: on standard error.
    """
    return (screen or console(to_stderr=True)).status(Text(one_line(text)))


def loading(source: str | None, screen: TerminalConsole | None = None) -> Status:
    """Return what says so while a model is loaded.

    Args:
        source: Folder or Hub id; None: the embedded model.
        screen: See `at_work`.
    """
    is_here = source is None or Path(source).is_dir()
    fetching = "" if is_here else ", fetched first unless it is here already"
    return at_work(f"loading {source or 'tiny'}{fetching}", screen)


def printable(text: str) -> str:
    """Return a text without the characters that steer a terminal; halves become a mark."""
    return _STEERING.sub(lambda found: "\ufffd" if found[0] >= "\ud800" else "", text)


def one_line(text: str) -> str:
    """Return a text as one line that steers nothing."""
    return printable(" ".join(text.split()))


def print_error(name: str, message: str) -> None:
    """Print an error in one line.

    Args:
        name: The command's.
        message: What is wrong.
    """
    print(one_line(f"{name}: {message}"), file=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """Print an object as one line of JSON; what would steer the terminal is escaped in it."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        print(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", line), flush=True)
    except BrokenPipeError:  # such as `| head`; rich has its own
        console().on_broken_pipe()
