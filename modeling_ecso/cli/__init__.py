"""The `ecso` command. One module for each subcommand; heavy libraries load only when one runs."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from . import datagen_command, eval_command, report_command, run_command
from .problem import Problem


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 broken, 2 bad input, 130 interrupted."""
    parser = _Parser(prog="ecso", description="Eyes Closed, Safety On: protected answers.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run_command.add_to(commands)
    eval_command.add_to(commands)
    report_command.add_to(commands)
    datagen_command.add_to(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.function(chosen)
    except Problem as problem:
        print(f"ecso: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ecso: interrupted", file=sys.stderr)
        return 130


def _version() -> str:
    try:
        return version("ecso-llava")
    except PackageNotFoundError:
        return "not installed"
