"""Sets up torchvision beside this package, for the processors that insist on it.

    python -m tests.families.environment            # build/families-env, seconds

Its wheel is built for CUDA and does not load beside torch for CPUs as it comes: it registers
operators of its own that are not there. None of them is needed to prepare an image, so the two
files that register them are emptied. Nothing is installed into `.venv`.
"""

import subprocess
import sys
from pathlib import Path


ENVIRONMENT = Path(__file__).parents[2] / "build" / "families-env"
# What SmolVLM's processor wants besides.
PACKAGES = ("torchvision==0.28.0", "num2words==0.5.14", "docopt==0.6.2")
OPERATORS = ("_meta_registrations.py", "_autograd_registrations.py")


def set_up() -> Path:
    """Install it unless that is done; returns the folder to put on ``PYTHONPATH``."""
    done = ENVIRONMENT / ".ready"
    if not done.exists():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--no-deps", "--upgrade", "--target", str(ENVIRONMENT), *PACKAGES]
        subprocess.run(install, check=True)
        for name in OPERATORS:
            (ENVIRONMENT / "torchvision" / name).write_text("")
        done.touch()
    return ENVIRONMENT


if __name__ == "__main__":
    print(set_up())
