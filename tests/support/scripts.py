"""The scripts in examples/, run as a person would: from the folder of the project."""

import os
import subprocess
import sys
from pathlib import Path


PROJECT = Path(__file__).parents[2]


def module_command(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module below `examples`."""
    return [sys.executable, "-m", f"examples.{name}", *map(str, arguments)]


def run_module(name: str, *arguments: object, **environment: str) -> str:
    """Run a module below `examples` in a process of its own; return what it printed."""
    done = subprocess.run(
        module_command(name, *arguments),
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def write_miniatures(folder: Path, size: int) -> None:
    """Write the benchmarks in miniature, each into a folder of its own."""
    run_module("training.miniatures.make", "--out", folder, "--size", size)
