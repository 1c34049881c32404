"""What the commands of this package have in common: mistakes in one line, exit status."""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from .. import __version__
from ..errors_ecso import ECSOError
from .terminal import print_error


class _CommandParser(argparse.ArgumentParser):
    """Tells a mistake in one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with status 2."""
        print_error(self.prog, f"{message}; see {self.prog} --help")
        self.exit(2)


def run_program(
    name: str,
    description: str,
    subcommands: Iterable[Callable[[Any], None]],
    arguments: list[str] | None,
    examples: str,
) -> int:
    """Run a command; returns the exit status: 0 done, 1 broken, 2 bad input, 130 interrupted.

    Without arguments it shows its help, which ends with the examples.

    Args:
        name: As it is typed.
        description: For ``--help``.
        subcommands: Functions that each add one to the parser's subcommands.
        arguments: What was typed after the name; None for those of the process.
        examples: Lines that can be typed as they are, for the end of ``--help``.
    """
    parser = _CommandParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{textwrap.indent(examples.strip(), '  ')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_to in subcommands:
        add_to(commands)
    typed = sys.argv[1:] if arguments is None else arguments
    if not typed:
        parser.print_help()
        return 0
    chosen = parser.parse_args(typed)
    try:
        return chosen.function(chosen)
    except ECSOError as error:
        print_error(name, str(error))
        return 2
    except KeyboardInterrupt:
        print_error(name, "interrupted")
        return 130
