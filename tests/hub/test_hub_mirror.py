"""A benchmark read from a Hub mirror at one commit, through `datasets`, over HTTP."""

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.support.loopback_hub import LocalHub, Repository, StoredFile


pytestmark = pytest.mark.slow


CARD = """---
configs:
- config_name: Malware_Generation
  data_files:
  - {split: SD, path: data/Malware_Generation/SD.parquet}
---
"""
MALWARE = ("mm_safetybench", "--scenarios", "3", "--kind", "SD")


@pytest.fixture(scope="module")
def hub():
    hub = LocalHub().start()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def commit(hub, tmp_path_factory):
    """Return the commit of a mirror with one scenario, as large as the official one."""
    import datasets

    images = []
    for number in range(44):
        drawn = io.BytesIO()
        Image.new("RGB", (8, 8), (5 * number, 0, 0)).save(drawn, "PNG")
        images.append({"bytes": drawn.getvalue(), "path": None})
    rows = [
        {"id": str(number), "question": f"What is number {number}?", "image": image}
        for number, image in enumerate(images)
    ]
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    file = tmp_path_factory.mktemp("mirror") / "SD.parquet"
    table.to_parquet(str(file))
    files = {"README.md": CARD.encode(), "data/Malware_Generation/SD.parquet": file.read_bytes()}
    return store(hub, "owner/mirror", files)


def store(hub, name, files):
    """Return the commit at which a repository holds these files."""
    repository = hub.repositories[name] = Repository(name, is_private=False)
    stored = {path: StoredFile(content, is_large=False) for path, content in files.items()}
    first = repository.commit("main", stored)
    repository.commit("main", {})  # the branch has moved on; the commit has not
    return first


def evaluate(hub, folder, data, *options):
    command = [sys.executable, "-m", "modeling_ecso.cli", "eval", *options, "--data", data]
    options = ["--limit", "2", "--direct"]
    network = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    places = {"HF_HOME": str(folder / "cache"), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *options, "--log-dir", str(folder / "logs")],
        capture_output=True,
        text=True,
        env={**os.environ, **network, **places},
    )


def test_a_mirror_is_read_at_its_commit(hub, commit, tmp_path):
    done = evaluate(hub, tmp_path, f"hub:owner/mirror@{commit}", *MALWARE)
    assert done.returncode == 0, done.stderr
    assert "03-Malware_Generation" in done.stdout and "2/2" in done.stdout


@pytest.mark.parametrize("name", ["owner/mirror", "owner/nowhere"])
def test_a_commit_that_is_not_there_is_one_clear_error(hub, commit, tmp_path, name):
    done = evaluate(hub, tmp_path, f"hub:{name}@{'0' * 40}", *MALWARE)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "check name, commit and network" in done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def mmbench_table(tmp_path_factory):
    """Return a table as large as one release of MMBench, each row a question without rotations."""
    import datasets

    drawn = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(drawn, "PNG")
    row = {"A": "red", "B": "blue", "answer": "A", "category": "colour", "L2-category": "CP"}
    row["image"] = {"bytes": drawn.getvalue(), "path": None}
    rows = [{"index": index, "question": f"What is {index}?", **row} for index in range(4329)]
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    file = tmp_path_factory.mktemp("mmbench") / "dev.parquet"
    table.to_parquet(str(file))
    return file.read_bytes()


@pytest.mark.parametrize("configuration", ["default", "one", "en"])
def test_mmbench_is_read_from_a_mirror_with_and_without_languages(
    hub, mmbench_table, tmp_path, configuration
):
    card = CARD.replace("split: SD", "split: dev").replace("Malware_Generation", configuration)
    files = {"README.md": card.encode(), f"data/{configuration}/SD.parquet": mmbench_table}
    commit = store(hub, "owner/mmbench", files)
    done = evaluate(hub, tmp_path, f"hub:owner/mmbench@{commit}", "mmbench")
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout
    if configuration == "en":
        data = f"hub:owner/mmbench@{commit}"
        done = evaluate(hub, tmp_path, data, "mmbench", "--language", "cn")
        assert done.returncode == 2 and "it has en but not cn; choose --language" in done.stderr
