"""A model server and gateways as processes of their own, for as long as a block lasts."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .vllm_environment import VARIABLES, serve_command


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served_by_vllm(folder: Path, home: Path, *flags: str, port: int = 0) -> Iterator[str]:
    """Serve a folder with vLLM; yields the address of its API.

    Args:
        folder: Of a model that vLLM knows.
        home: Where the log goes.
        *flags: Further flags of ``vllm serve``.
        port: Where to listen; any free one by default.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = serve_command(folder, port, *flags)
    with _running(command, url, home / "vllm.log", {**os.environ, **VARIABLES}):
        yield f"{url}/v1"


@contextmanager
def gateway(upstream: str, home: Path, *flags: str) -> Iterator[str]:
    """Run a gateway before a model server; yields the address of its API.

    Args:
        upstream: Address of the model server's API.
        home: Where the log goes.
        *flags: Further flags of ``ecso serve``.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "modeling_ecso.cli", "serve", "--upstream", upstream]
    command += ["--model", "tiny", "--port", str(port), *flags]
    with _running(command, url, home / f"gateway-{port}.log", dict(os.environ)):
        yield f"{url}/v1"


@contextmanager
def _running(
    command: list[str], url: str, log: Path, environment: dict[str, str]
) -> Iterator[None]:
    with log.open("w") as output:
        # A group of its own, since vLLM's engine is a process below the one that is started.
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(f"{url}/health", process, log)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise SystemExit(f"{url} is not there; the end of its log:\n{log.read_text()[-2000:]}")
