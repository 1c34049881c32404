"""`ecso serve`: the protocol in front of an OpenAI-compatible server."""

import argparse
import importlib.util
import os
import socket
import sys
from typing import Any

from ..endpoint.server_url import UPSTREAM_KEY_VARIABLE, read_server_url
from ..errors_ecso import ECSOInputError
from .serve_options import KEYS_VARIABLE, api_keys, gateway_config


NOTHING_IS_PROTECTED = """\
ecso serve: *** MODE OBSERVE: NOTHING IS PROTECTED ***
ecso serve: every answer is let through, harmful ones too; what would have happened to it stands in
ecso serve: its `ecso` field under `would_be`, and in /metrics. Leave --mode out to protect."""
_NEEDED = ("starlette", "uvicorn", "openai", "httpx2", "pydantic", "prometheus_client")


def add_to(commands: Any) -> None:
    """Add the subcommand to the parser of `ecso`."""
    parser = commands.add_parser(
        "serve",
        help="protect an OpenAI-compatible server",
        description="Answer OpenAI's chat completions and responses APIs (/v1/chat/completions and "
        "/v1/responses) with the protocol in front of a vision model that vLLM, SGLang, "
        "transformers serve or another server answers for.",
    )
    parser.add_argument(
        "--upstream", required=True, metavar="URL", help="that server, such as http://HOST:8000/v1"
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="the model's name there")
    parser.add_argument("--served-name", metavar="NAME", help="its name here (default: the same)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="0: any free one (default: 8080)")
    ecso_config = parser.add_mutually_exclusive_group()
    ecso_config.add_argument(
        "--preset",
        metavar="NAME",
        help="reference, paper or hardened (default: paper)",
    )
    ecso_config.add_argument(
        "--ecso-config",
        metavar="FILE",
        help="settings of the protocol, YAML or JSON; its `preset` is the base",
    )
    parser.add_argument(
        "--mode",
        choices=["enforce", "observe"],
        default="enforce",
        help="observe: let every answer through and record what would have happened to it; nothing "
        "is protected (default: enforce)",
    )
    parser.add_argument(
        "--api-keys",
        metavar="FILE",
        help=f"keys, one a line (default: those in ${KEYS_VARIABLE}, else none are needed)",
    )
    parser.add_argument(
        "--allow-image-host",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="fetch images from this host over https; may be repeated (default: data URIs only)",
    )
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages from here ask from a browser, such as https://chat.example, or * for any; "
        "may be repeated (default: none)",
    )
    parser.add_argument(
        "--step-extra-body",
        action="append",
        default=[],
        metavar="STEP=JSON",
        help="further fields of the requests of a step (direct, detect, caption, safe), above all "
        'others, such as detect=\'{"chat_template_kwargs": {"enable_thinking": false}}\'; '
        "may be repeated",
    )
    parser.add_argument(
        "--trust-system", action="store_true", help="system messages come from you, not from users"
    )
    parser.add_argument(
        "--no-trace", action="store_true", help="tell of an answer its reason alone, not its trace"
    )
    _add_limits(parser)
    parser.set_defaults(function=serve)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("limits")
    for flag, kind, default, what in (
        ("--max-concurrent", int, 128, "requests in work; further ones get status 429"),
        ("--max-choices", int, 8, "answers to one request"),
        ("--max-tokens", int, 16_384, "tokens that a request may want of an answer"),
        (
            "--max-windows",
            int,
            128,
            "windows of an answer that are judged; longer ones are refused",
        ),
        ("--max-parallel", int, 8, "calls to the model server at a time, for one request"),
        ("--max-text-chars", int, 200_000, "characters of all texts of a request"),
        ("--max-images", int, 8, "images in one request"),
        ("--max-body-mb", float, 20.0, "size of a request"),
        ("--max-image-mb", float, 10.0, "size of an image"),
        ("--max-megapixels", float, 50.0, "width times height of an image"),
        ("--step-timeout", float, 120.0, "seconds for one step"),
        ("--retries", int, 1, "repeats of a step that failed for a passing reason"),
        ("--grace", int, 60, "seconds to finish what runs at shutdown"),
    ):
        limits.add_argument(
            flag, type=kind, default=default, metavar="N", help=f"{what} (default: {default:g})"
        )


def serve(chosen: argparse.Namespace) -> int:
    """Serve until interrupted; returns the exit status.

    Raises:
        ECSOInputError: Something in the arguments cannot be used.
    """
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise ECSOInputError(
                f"serving needs {module}; install it with: pip install 'ecso-llava[serve]'"
            )
    import uvicorn

    from ..endpoint.openai_server import OpenAIServer
    from ..gateway.app import build_app
    from ..gateway.keys import ApiKeys

    read_server_url("--upstream", chosen.upstream)
    config = gateway_config(chosen)
    keys = ApiKeys(api_keys(chosen))
    server = OpenAIServer(
        chosen.upstream,
        chosen.model,
        api_key=os.environ.get(UPSTREAM_KEY_VARIABLE),
        timeout_s=chosen.step_timeout,
        retries=chosen.retries,
    )
    listener = bound_socket(chosen.host, chosen.port)
    address, port = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    print(
        f"ecso serve: http://{shown}:{port}/v1 in front of {chosen.upstream}, model "
        f"{config.served_name}, preset {config.ecso.preset}",
        flush=True,
    )
    if not keys.are_wanted and not address.startswith(("127.", "::1")):
        print("ecso serve: whoever reaches this address may ask; --api-keys closes it", flush=True)
    if config.observes:
        print(NOTHING_IS_PROTECTED, file=sys.stderr, flush=True)
    serving = uvicorn.Config(
        build_app(server, config, keys),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=chosen.grace,
    )
    uvicorn.Server(serving).run(sockets=[listener])
    return 0


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; port 0 is any free one.

    Raises:
        ECSOInputError: It cannot be bound.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Its protocol named, asyncio sends small packets at once; else each answer waits 40 ms.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        why = getattr(error, "strerror", None) or "no such address"
        raise ECSOInputError(f"{host}:{port} cannot be bound ({why}); choose another") from None
    return listener
