"""The console lines of the README, typed into a shell in a fresh clone with nothing installed.

    python -m tests.release.readme

What only a network can give is stood in for: the embedded model for one of the Hub's, a scripted
model server for vLLM. Prints what every line took.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.servers import PROJECT, free_port, running, wait_until_ready


HUB_MODEL, SMALL_MODEL = "llava-hf/llava-1.5-7b-hf", "modeling_ecso/tiny"
SERVER, SERVED = "http://127.0.0.1:8000/v1", "NAME"


def main() -> int:
    """Clone what is committed and type the lines; returns the exit status."""
    blocks = re.findall(r"```console\n(.*?)```", (PROJECT / "README.md").read_text("utf-8"), re.S)
    install, use = ([line for line in block.splitlines() if line] for block in blocks)
    with tempfile.TemporaryDirectory(prefix="ecso-readme-") as name:
        clone = Path(name) / "ecso-llava"
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        _type("\n".join(install), clone)
        activate = install[-1]
        # The one line that stands in the text and not in a block.
        _type(f"{activate}\npip install --quiet --constraint constraints.txt '.[serve]'", clone)
        for line in use:
            if line.startswith("ecso serve"):
                _serve(f"{activate}\nexec {line}", clone)
            else:
                _type(f"{activate}\n{line.replace(HUB_MODEL, SMALL_MODEL)}", clone)
    return 0


def _type(lines: str, folder: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-e", "-c", lines],
        cwd=folder,
        env=_plain_variables(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"{time.monotonic() - began:6.1f} s  {lines.splitlines()[-1]}", flush=True)
    if done.returncode != 0:
        raise SystemExit(f"ended with {done.returncode}\n{done.stdout}")


def _serve(lines: str, folder: Path) -> None:
    """Start the gateway in front of a scripted server, and wait until it would answer."""
    began, model_port, port = time.monotonic(), free_port(), free_port()
    script = [sys.executable, "-m", "examples.load.scripted_upstream", "--port", str(model_port)]
    lines = lines.replace(SERVER, f"http://127.0.0.1:{model_port}/v1").replace(SERVED, "scripted")
    command = ["bash", "-e", "-c", f"{lines} --port {port}"]
    log = folder.parent / "gateway.log"
    with (
        running(script, folder.parent / "model.log"),
        running(command, log, _plain_variables(folder), folder) as process,
    ):
        wait_until_ready(f"http://127.0.0.1:{port}/health", process, log)
    shown = shlex.join(shlex.split(lines.splitlines()[-1].removeprefix("exec ")))
    print(f"{time.monotonic() - began:6.1f} s  {shown}, until it is ready", flush=True)


def _plain_variables(folder: Path) -> dict[str, str]:
    """Return the environment of a shell in which nothing of ours is active."""
    outside = [part for part in os.environ["PATH"].split(":") if ".venv" not in part]
    return {"PATH": ":".join(outside), "HOME": str(folder.parent), "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    sys.exit(main())
