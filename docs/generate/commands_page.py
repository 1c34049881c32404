"""The reference of all commands, as their own `--help` prints it."""

import argparse
import os
import re
from typing import Any
from unittest.mock import patch

from hub_upload import command as hub_command
from modeling_ecso import cli


_HEAD = """# Commands

<!-- Written by `make readme` from the commands' own help; do not edit. -->

`ecso` answers, shows, serves and measures; `ecso-hub` publishes. Mistakes are told in one line.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | something broke on the way, or a check failed; what was said before says what |
| 2 | arguments, files, model or settings cannot be used; one line says which and what to do |
| 130 | interrupted |
| 143 | a server was told to end by SIGTERM, and has finished what ran |
"""
_WIDTH = "96"


def commands_page() -> str:
    """Return the page, in Markdown: a section for each command."""
    helps = {}
    for name, main in (("ecso", cli.main), ("ecso-hub", hub_command.main)):
        parser = parser_of(main)
        helps[name] = parser
        for action in parser._subparsers._group_actions:
            helps |= {f"{name} {chosen}": each for chosen, each in action.choices.items()}
    with patch.dict(os.environ, {"COLUMNS": _WIDTH, "NO_COLOR": "1"}):
        sections = [
            f"## `{name}`\n\n```text\n{_plain(parser.format_help())}\n```\n"
            for name, parser in helps.items()
        ]
    return "\n".join([_HEAD, *sections])


def parser_of(main: Any) -> argparse.ArgumentParser:
    """Return the parser that a program builds; nothing is run."""

    class Caught(Exception):
        pass

    def catch(parser: argparse.ArgumentParser, arguments: Any) -> None:
        found.append(parser)
        raise Caught

    found: list[argparse.ArgumentParser] = []
    with patch.object(argparse.ArgumentParser, "parse_args", catch):
        try:
            main(["--help"])
        except Caught:
            pass
    return found[0]


def _plain(text: str) -> str:
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip()
