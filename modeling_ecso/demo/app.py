"""Starts the demo, with everything of gradio's that it does not need switched off."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .model_list import ModelList


LARGEST_IMAGE_FILE = "10mb"


def launch_arguments() -> dict[str, Any]:
    """Return how to serve the page: nothing shared, kept, counted or fetched from elsewhere."""
    from .theme import STYLE, make_theme

    return {
        "share": False,
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
        "favicon_path": Path(__file__).parent / "favicon.png",
        "quiet": True,
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
        ECSOInputError: A model cannot be loaded, or a URL is none.
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
    votes: Path | None = None,
    opens_browser: bool = False,
) -> None:
    """Serve the page until interrupted.

    Args:
        models: What can be asked.
        host: Address to listen at; None: what ``GRADIO_SERVER_NAME`` says, else 127.0.0.1.
        port: Port to listen at; None: ``GRADIO_SERVER_PORT``, else the first free one from 7860.
        votes: File for votes; None: the page has no vote buttons.
        opens_browser: Whether to open the page in this machine's browser.

    Raises:
        ECSOInputError: The address cannot be used.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    from ..errors_ecso import ECSOInputError
    from .page import build_page
    from .votes import VoteFile

    page = build_page(models, VoteFile(votes) if votes else None)
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=opens_browser,
            prevent_thread_lock=True,
            **launch_arguments(),
        )
    except OSError:
        where = f"{host or '127.0.0.1'}, port {port or 'from 7860'}"
        raise ECSOInputError(f"the demo cannot listen at {where}; choose another one") from None
    print(f"The demo is at {url} ; stop it with Ctrl-C.", flush=True)
    page.block_thread()
