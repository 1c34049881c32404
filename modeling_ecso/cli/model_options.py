"""The options of every command that a model answers for."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from ..endpoint.server_url import UPSTREAM_KEY_VARIABLE
from ..errors_ecso import ECSOInputError


def add_model_options(parser: ArgumentParser) -> None:
    """Add the options that say which model answers, under which settings and how long."""
    parser.add_argument(
        "--model",
        metavar="DIR_OR_ID",
        help="any vision-language model, folder or Hub id (default: the embedded tiny one)",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="reference, paper or hardened (default: what the model stores)",
    )
    add_ecso_config_option(parser)
    parser.add_argument(
        "--max-new-tokens", type=int, default=256, metavar="N", help="answer limit (default: 256)"
    )


def add_ecso_config_option(parser: ArgumentParser) -> None:
    """Add the option that names a file of settings."""
    parser.add_argument(
        "--ecso-config",
        metavar="FILE",
        help="settings of the protocol, such as ecso calibrate writes; its preset is the base",
    )


def add_upstream_option(parser: ArgumentParser) -> None:
    """Add the option that names the servers that answer in place of a model here."""
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="URL",
        help="an OpenAI-compatible server that answers, with --model as its name there; may be "
        f"repeated; the key is taken from ${UPSTREAM_KEY_VARIABLE}",
    )


def chosen_changes(chosen: Namespace) -> dict[str, Any]:
    """Return what preset and file of settings change in what the model stores.

    Raises:
        ECSOInputError: There is no such preset, the file cannot be used, or both are given.
    """
    from ..loading.ecso_config_file import read_ecso_config

    if chosen.ecso_config is not None and chosen.preset is not None:
        raise ECSOInputError("--ecso-config names a preset itself; leave --preset out")
    if chosen.ecso_config is not None:
        return read_ecso_config(Path(chosen.ecso_config))
    if chosen.preset is not None:
        check_preset(chosen.preset)
    return {"preset": chosen.preset} if chosen.preset else {}


def check_preset(name: str) -> None:
    """Refuse the name of a preset that there is not.

    Raises:
        ECSOInputError: There is none of that name.
    """
    from ..presets_ecso import PRESETS

    if name not in PRESETS:
        raise ECSOInputError(f"--preset {name!r} is unknown; choose from {', '.join(PRESETS)}")


def check_counts(chosen: Namespace) -> None:
    """Refuse a batch or an answer of less than one.

    Raises:
        ECSOInputError: One is.
    """
    for name, value in (
        ("--batch-size", chosen.batch_size),
        ("--max-new-tokens", chosen.max_new_tokens),
    ):
        if value < 1:
            raise ECSOInputError(f"{name} is {value}; give a number from 1")
