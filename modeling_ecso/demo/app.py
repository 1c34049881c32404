"""Starts the demo, with everything of gradio's that it does not need switched off.

Gradio's own `launch` is not used: it asks the page for itself, through whatever proxy the
environment names, and gives up where a busy machine takes more than a few seconds.
"""

import asyncio
import os
import socket
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors_ecso import ECSOInputError


if TYPE_CHECKING:
    import uvicorn

    from .model_list import ModelList


LARGEST_IMAGE_FILE = "10mb"
FIRST_PORT, LAST_PORT = 7860, 7959
# Every open page holds a connection, and none is to keep the server from stopping.
STOPPING_S = 1


def page_arguments() -> dict[str, Any]:
    """Return how to serve the page: nothing kept, counted or fetched from elsewhere."""
    from .theme import STYLE, make_theme

    return {
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "max_file_size": LARGEST_IMAGE_FILE,
        "footer_links": [],
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "theme": make_theme(),
        "css_paths": [STYLE],
        "favicon_path": str(Path(__file__).parent / "favicon.png"),
    }


@contextmanager
def offered_models(
    sources: Sequence[str | None], endpoints: Sequence[str] = (), api_key: str | None = None
) -> Iterator["ModelList"]:
    """Give the models that the page offers; connections close at the end.

    Args:
        sources: Folders or Hub ids of models to run in this process; None: the tiny one.
        endpoints: URLs of OpenAI-compatible servers.
        api_key: Sent to those servers; None: none is needed.

    Raises:
        ECSOError: A model cannot be loaded, or a URL is none.
    """
    from anyio.from_thread import start_blocking_portal

    from ..loading.models import load_model
    from .model_list import ModelList

    if sources:
        from .local_model import LocalModel
    if endpoints:
        from .remote_model import EndpointCatalog
    with start_blocking_portal() as portal:
        servers = [EndpointCatalog(url, portal, api_key) for url in endpoints]
        yield ModelList([LocalModel(load_model(source)) for source in sources], servers)


def serve(
    models: "ModelList",
    *,
    host: str | None = None,
    port: int | None = None,
    root_path: str | None = None,
    votes: Path | None = None,
    opens_browser: bool = False,
) -> None:
    """Serve the page until interrupted.

    Args:
        models: What can be asked.
        host: Address to listen at; None: what ``GRADIO_SERVER_NAME`` says, else 127.0.0.1.
        port: Port to listen at; None: ``GRADIO_SERVER_PORT``, else the first free one from 7860.
        root_path: Where a proxy serves the page: a path such as ``/demo``, or a whole URL; None:
            ``GRADIO_ROOT_PATH``, else at the root of whatever address the browser knows.
        votes: File for votes; None: the page has no vote buttons.
        opens_browser: Whether to open the page in this machine's browser.

    Raises:
        ECSOInputError: The address cannot be used.
    """
    listener = _listener(host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1", port)
    server = _server(models, votes, root_path, listener)
    try:
        asyncio.run(_serve(server, listener, opens_browser))
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


def _server(
    models: "ModelList", votes: Path | None, root_path: str | None, listener: socket.socket
) -> "uvicorn.Server":
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from .page import build_page
    from .votes import VoteFile

    host, port = listener.getsockname()[:2]
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        build_page(models, VoteFile(votes) if votes else None),
        path="/",
        server_name=host,
        server_port=port,
        root_path=root_path or os.environ.get("GRADIO_ROOT_PATH"),
        **page_arguments(),
    )
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, timeout_graceful_shutdown=STOPPING_S
    )
    return uvicorn.Server(config)


async def _serve(server: "uvicorn.Server", listener: socket.socket, opens_browser: bool) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    if server.started:
        host, port = listener.getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{port}/"
        print(f"The demo is at {url} ; stop it with Ctrl-C.", flush=True)
        if opens_browser:
            webbrowser.open(url)
    await serving


def _listener(host: str, port: int | None) -> socket.socket:
    from ..cli.serve_command import bound_socket

    wanted = port if port is not None else os.environ.get("GRADIO_SERVER_PORT")
    if wanted is not None:
        return bound_socket(host, _port(wanted))
    for free in range(FIRST_PORT, LAST_PORT):
        try:
            return bound_socket(host, free)
        except ECSOInputError:
            continue
    return bound_socket(host, LAST_PORT)


def _port(value: int | str) -> int:
    if str(value).isdecimal() and 0 < int(value) < 65536:
        return int(value)
    raise ECSOInputError(f"the port is {value}; give a number from 1 to 65535")
