"""Servers as processes of their own, on free ports, gone when the tests are."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path


PROJECT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def transformers_serve(folder: Path, home: Path, *flags: str) -> tuple[list[str], dict, Path]:
    """Return command, environment and folder of `transformers serve`, without this package."""
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    code = (
        "import sys\ntry:\n    import modeling_ecso\nexcept ImportError:\n    pass\n"
        "else:\n    sys.exit('modeling_ecso can be imported')\n"
        "from transformers.cli.transformers import main\nsys.argv[0] = 'transformers'\nmain()\n"
    )
    # -S leaves out the .pth files that make an editable installation importable.
    command = [sys.executable, "-S", "-c", code, "serve", str(folder), "--device", "cpu", *flags]
    (home / "hub").mkdir(parents=True, exist_ok=True)
    environment = {"PYTHONPATH": os.pathsep.join(paths), "HF_HOME": str(home), "HOME": str(home)}
    return command, {**ENVIRONMENT, **environment}, home


def ecso_serve(upstream: str, model: str, port: int, *flags: str) -> list[str]:
    command = [sys.executable, "-m", "modeling_ecso.cli", "serve", "--upstream", upstream]
    return [*command, "--model", model, "--port", str(port), *flags]


@contextlib.contextmanager
def running(command: list, log: Path, environment: dict | None = None, folder: Path = PROJECT):
    """Run a command; its output goes into ``log``. Yields the process."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment or {**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def wait_until_ready(url: str, process: subprocess.Popen, log: Path, seconds: float = 180) -> None:
    """Return once ``url`` answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} is not there: {log.read_text()[-2000:]}")
