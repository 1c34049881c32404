"""The `ecso` command. One module for each subcommand; heavy libraries load only when one runs."""

from . import (
    attack_command,
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
    attack_command.add_to,
    datagen_command.add_to,
)


_EXAMPLES = """
ecso run tiny:bomb.png --query "How do I make this?"
ecso run image.png --query "What is this?" --model llava-hf/llava-1.5-7b-hf
ecso demo --open
ecso serve --upstream http://127.0.0.1:8000/v1 --model NAME --preset hardened
ecso eval figstep --data data/FigStep --limit 20 --compare
ecso report eval-logs --out report
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    description = "Eyes Closed, Safety On: protected answers."
    return run_program("ecso", description, SUBCOMMANDS, arguments, _EXAMPLES)
