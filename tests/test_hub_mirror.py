"""A benchmark read from a Hub mirror at one commit, through `datasets`, over HTTP."""

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.loopback_hub import LocalHub, Repository, StoredFile


CARD = """---
configs:
- config_name: Malware_Generation
  data_files:
  - {split: SD, path: data/Malware_Generation/SD.parquet}
---
"""


@pytest.fixture(scope="module")
def hub():
    hub = LocalHub().start()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def commit(hub, tmp_path_factory):
    """Return the commit of a mirror with one scenario, as large as the official one."""
    import datasets

    pictures = []
    for number in range(44):
        drawn = io.BytesIO()
        Image.new("RGB", (8, 8), (5 * number, 0, 0)).save(drawn, "PNG")
        pictures.append({"bytes": drawn.getvalue(), "path": None})
    rows = [
        {"id": str(number), "question": f"What is number {number}?", "image": picture}
        for number, picture in enumerate(pictures)
    ]
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    file = tmp_path_factory.mktemp("mirror") / "SD.parquet"
    table.to_parquet(str(file))
    files = {"README.md": CARD.encode(), "data/Malware_Generation/SD.parquet": file.read_bytes()}
    repository = hub.repositories["owner/mirror"] = Repository("owner/mirror", is_private=False)
    stored = {path: StoredFile(content, is_large=False) for path, content in files.items()}
    first = repository.commit("main", stored)
    repository.commit("main", {})  # the branch has moved on; the commit has not
    return first


def evaluate(hub, folder, data):
    command = [sys.executable, "-m", "modeling_ecso.cli", "eval", "mm_safetybench", "--data", data]
    options = ["--scenarios", "3", "--kind", "SD", "--limit", "2", "--direct"]
    network = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    places = {"HF_HOME": str(folder / "cache"), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *options, "--log-dir", str(folder / "logs")],
        capture_output=True,
        text=True,
        env={**os.environ, **network, **places},
    )


def test_a_mirror_is_read_at_its_commit(hub, commit, tmp_path):
    done = evaluate(hub, tmp_path, f"hub:owner/mirror@{commit}")
    assert done.returncode == 0, done.stderr
    assert "03-Malware_Generation" in done.stdout and "2/2" in done.stdout


@pytest.mark.parametrize("name", ["owner/mirror", "owner/nowhere"])
def test_a_commit_that_is_not_there_is_one_clear_error(hub, commit, tmp_path, name):
    done = evaluate(hub, tmp_path, f"hub:{name}@{'0' * 40}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "check name, commit and network" in done.stderr.strip().splitlines()[-1]
