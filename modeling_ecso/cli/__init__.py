"""The `ecso` command. One module for each subcommand; heavy libraries load only when one runs."""

from . import (
    calibrate_command,
    datagen_command,
    demo_command,
    eval_command,
    report_command,
    run_command,
    serve_command,
)
from .command_line import run_program


SUBCOMMANDS = (
    run_command.add_to,
    demo_command.add_to,
    serve_command.add_to,
    eval_command.add_to,
    report_command.add_to,
    calibrate_command.add_to,
    datagen_command.add_to,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_program("ecso", "Eyes Closed, Safety On: protected answers.", SUBCOMMANDS, arguments)
