"""inspect-evals' XSTest, StrongREJECT and visual injection with our providers, on local samples.

    python -m tests.inspect_evals.run

Installs inspect-evals into `build/inspect-evals` first. Not part of the tests: it needs a package
index. The tasks are theirs as they stand, prompts, scorers and metrics; only where they would
download a data set they are handed a few samples of the tiny model's world, and their judge is one
that looks for a refusal.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.servers import PROJECT


PLACE = PROJECT / "build" / "inspect-evals"
HERE = Path(__file__).parent


def main() -> int:
    """Install what is needed, run the tasks; returns the exit status."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    packages = ["--no-deps", "--target", PLACE, "--requirement", HERE / "requirements.txt"]
    if not (PLACE / "inspect_evals").exists():
        subprocess.run([*install, *packages], check=True)
    with tempfile.TemporaryDirectory() as folder:
        # Behind what is installed, so that nothing of ours is taken from there.
        path = os.pathsep.join([str(PROJECT), str(PLACE)])
        places = {"PYTHONPATH": path, "XDG_CACHE_HOME": folder, "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "tests.inspect_evals.tasks"]
        return subprocess.run(command, cwd=folder, env={**os.environ, **places}).returncode


if __name__ == "__main__":
    sys.exit(main())
