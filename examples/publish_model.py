"""The tiny model as a complete Hub repository: built, proved in a process of its own, pushed.

python -m examples.publish_model OWNER/NAME              # shows what would be pushed
python -m examples.publish_model OWNER/NAME --push       # pushes; log in with `hf auth login` first

`python -m examples.publish.local_hub` is a Hub on this machine to try it out on. Another recipe of
configuration/recipes publishes another model.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from hub_upload.command import main as ecso_hub


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("repo_id", metavar="OWNER/NAME")
parser.add_argument("--recipe", default="tiny")
parser.add_argument("--push", action="store_true", help="push, and not only show what would be")
chosen = parser.parse_args()

with tempfile.TemporaryDirectory() as work:
    folder = str(Path(work) / "repository")
    push = ["push", folder, "--repo-id", chosen.repo_id]
    for command in (
        ["build", chosen.recipe, "--out", folder],
        ["verify", folder],
        push if chosen.push else [*push, "--dry-run"],
    ):
        print("ecso-hub", *command, flush=True)
        if status := ecso_hub(command):
            sys.exit(status)
