"""Servers as processes of their own, for as long as a block lasts."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    with server(command, f"{url}/health", home / f"gateway-{port}.log", seconds=300):
        yield f"{url}/v1"


@contextmanager
def server(
    command: list[str],
    url: str,
    log: Path | None = None,
    variables: dict[str, str] | None = None,
    seconds: float = 30,
) -> Iterator[subprocess.Popen]:
    """Run a server until it is no longer needed; yields its process once it answers.

    Args:
        command: What starts it.
        url: What it answers when it is ready.
        log: Where its output goes; None: nowhere.
        variables: Further variables of its environment.
        seconds: How long to wait for it.
    """
    with (log or Path(os.devnull)).open("w") as output:
        # A group of its own, since an engine may be a process below the one that is started.
        process = subprocess.Popen(
            command,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not _is_ready(url, process, seconds):
                raise SystemExit(f"{url} does not answer; {_why(log, command)}")
            yield process
        finally:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_ready(url: str, process: subprocess.Popen, seconds: float) -> bool:
    # No proxy stands before a server of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _why(log: Path | None, command: list[str]) -> str:
    if log is None:
        return f"start it by hand to see why: {' '.join(command)}"
    return f"the end of its log:\n{log.read_text('utf-8', 'replace')[-2000:]}"
