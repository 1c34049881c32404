"""A benchmark read from a Hub mirror at one commit, through `datasets`, over HTTP."""

import io
import json
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


# Runs one command after the other, since what takes long is to import what they need.
SCRIPT = """
import contextlib, io, json, sys
from modeling_ecso.cli import main
done = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    done.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


def evaluate(hub, folder, *commands):
    """Return status, output and errors of `ecso eval` with each list of options."""
    options = ["--limit", "2", "--direct"]
    asked = [
        ["eval", *command, *options, "--log-dir", str(folder / f"logs-{number}")]
        for number, command in enumerate(commands)
    ]
    network = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    places = {"HF_HOME": str(folder / "cache"), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        capture_output=True,
        text=True,
        env={**os.environ, **network, **places},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_mirror_is_read_at_its_commit_and_at_no_other(hub, commit, tmp_path):
    read, *failed = evaluate(
        hub,
        tmp_path,
        [*MALWARE, "--data", f"hub:owner/mirror@{commit}"],
        [*MALWARE, "--data", f"hub:owner/mirror@{'0' * 40}"],
        [*MALWARE, "--data", f"hub:owner/nowhere@{'0' * 40}"],
    )
    status, out, err = read
    assert status == 0, err
    assert "03-Malware_Generation" in out and "2/2" in out
    for status, _, err in failed:
        assert status == 2 and "Traceback" not in err
        assert "check name, commit and network" in err.strip().splitlines()[-1]


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


def test_mmbench_is_read_from_a_mirror_with_and_without_languages(hub, mmbench_table, tmp_path):
    asked = []
    for name in ("default", "one", "en"):
        card = CARD.replace("split: SD", "split: dev").replace("Malware_Generation", name)
        files = {"README.md": card.encode(), f"data/{name}/SD.parquet": mmbench_table}
        commit = store(hub, f"owner/mmbench-{name}", files)
        asked.append(["mmbench", "--data", f"hub:owner/mmbench-{name}@{commit}"])
    *read, other_language = evaluate(hub, tmp_path, *asked, [*asked[-1], "--language", "cn"])
    for status, out, err in read:
        assert status == 0 and "2/2" in out, err
    status, _, err = other_language
    assert status == 2 and "it has en but not cn; choose --language" in err
