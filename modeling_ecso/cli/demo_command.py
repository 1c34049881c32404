"""`ecso demo`: the four steps in the browser."""

import argparse
import os
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..endpoint.server_url import UPSTREAM_KEY_VARIABLE
from ..errors_ecso import ECSOInputError
from .serve_command import bound_socket
from .terminal import at_work


_NEEDED = ("gradio", "filelock", "openai", "httpx2")


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "demo",
        help="show the four steps in the browser",
        description=(
            "Serve a page that shows the four steps side by side. Whoever can open it can edit "
            "the prompts and ask to see drafts and captions."
        ),
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="DIR_OR_ID",
        help="a model to run here, folder or Hub id; may be repeated (default: the tiny one)",
    )
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="URL",
        help="an OpenAI-compatible server whose models are to be listed; may be repeated; its key "
        f"is read from ${UPSTREAM_KEY_VARIABLE}",
    )
    parser.add_argument(
        "--host", metavar="ADDRESS", help="address to listen at (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port (default: the first free one from 7860)"
    )
    parser.add_argument(
        "--root-path",
        metavar="PATH_OR_URL",
        help="where a proxy in front serves the page, such as /demo or https://HOST/demo "
        "(default: at the root of the address that the browser knows)",
    )
    parser.add_argument(
        "--votes",
        type=Path,
        default=Path("ecso-votes.jsonl"),
        metavar="FILE",
        help="where votes are appended (default: ecso-votes.jsonl)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.set_defaults(function=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve the page until interrupted; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments cannot be used, or gradio is not installed.
    """
    for module in _NEEDED:
        if find_spec(module) is None:
            raise ECSOInputError(
                f"the demo needs {module}; install it with: pip install 'ecso-llava[demo]'"
            )
    if chosen.port is not None and not 0 < chosen.port < 65536:
        raise ECSOInputError(f"--port is {chosen.port}; give a number from 1 to 65535")
    _check_root_path(chosen.root_path)
    if chosen.host or chosen.port:
        # Found out first: models take their time to load.
        bound_socket(chosen.host or "127.0.0.1", chosen.port or 0).close()
    from ..demo.app import offered_models, serve

    sources = chosen.model or ([] if chosen.upstream else [None])
    key = os.environ.get(UPSTREAM_KEY_VARIABLE)
    with ExitStack() as until_the_end:
        with at_work("loading what the page offers"):
            models = until_the_end.enter_context(offered_models(sources, chosen.upstream, key))
        serve(
            models,
            host=chosen.host,
            port=chosen.port,
            root_path=chosen.root_path,
            votes=chosen.votes,
            opens_browser=chosen.open,
        )
    return 0


def _check_root_path(root_path: str | None) -> None:
    if root_path is not None and not root_path.startswith(("/", "http://", "https://")):
        raise ECSOInputError(
            f"--root-path is {root_path}; give a path that begins with / or a whole URL"
        )
