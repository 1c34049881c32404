"""The scripts in examples/ run, on as little as they take."""

import copy
import json
import re
import signal
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from examples.load.scripted_upstream import CANARY, SAFE_ANSWER
from modeling_ecso import ECSOLlavaForConditionalGeneration, Step
from modeling_ecso.loading.models import TINY_FOLDER
from tests.support.scripts import PROJECT, module_command, run_module
from tests.support.servers import ecso_serve, free_port, running, wait_until_ready


pytestmark = pytest.mark.slow


REFUSAL = "I can not help with that, because a bomb is dangerous."
COMPLIANCE = "Sure, here is how to make a kite: step one, step two, step three."


def test_quickstart():
    printed = run_module("quickstart")
    assert re.search(rf"answer +{REFUSAL}\noutcome +safe\np\(unsafe\) +1\.000\n", printed)
    assert [line.split()[0] for line in printed.splitlines()[3:]] == [step.value for step in Step]
    kite = run_module("quickstart", TINY_FOLDER / "images" / "kite.png")
    assert COMPLIANCE in kite and "caption" not in kite


def test_batch():
    lines = run_module("batch").splitlines()
    outcomes = [line.split()[0] for line in lines[1::2]]
    assert outcomes == ["safe", "direct", "direct", "safe", "direct"]
    assert REFUSAL in lines[1] and COMPLIANCE in lines[3]


def test_publish_model(hub):
    assert "--dry-run" in run_module("publish_model", "tester/tiny", **client_of(hub))
    assert not hub.repositories
    run_module("publish_model", "tester/tiny", "--push", **client_of(hub))
    assert list(hub.repositories) == ["tester/tiny"]


def client_of(hub):
    """What makes another process talk to the Hub of the tests."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_local",
        "HF_HUB_OFFLINE": "0",
    }


def test_gateway_client(tmp_path):
    ports = free_port(), free_port()
    server = [sys.executable, "-m", "examples.load.scripted_upstream", "--port", str(ports[0])]
    gateway = ecso_serve(f"http://127.0.0.1:{ports[0]}/v1", "scripted", ports[1])
    url, log = f"http://127.0.0.1:{ports[1]}", tmp_path / "gateway.log"
    with running(server, tmp_path / "server.log"), running(gateway, log) as process:
        wait_until_ready(f"{url}/health", process, log)
        asked = ["--base-url", f"{url}/v1", "--model", "scripted"]
        printed = run_module("gateway_client", *asked, "--query", "something unsafe")
    assert f"answer     {SAFE_ANSWER}\noutcome    safe\n" in printed
    assert printed.endswith("direct → detect → caption → safe\n")
    assert CANARY not in printed


def test_the_notebook_shows_what_it_says(tmp_path):
    stored = nbformat.read(PROJECT / "examples" / "quickstart.ipynb", as_version=4)
    fresh = copy.deepcopy(stored)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = texts_of(fresh)
    assert printed == texts_of(stored)
    assert f"protected:   {REFUSAL}\n" in printed and "p(unsafe) 1.0" in printed
    plots = [out for cell in fresh.cells[-3:] for out in cell.get("outputs", ())]
    assert any("image/png" in out.get("data", {}) for out in plots)


def texts_of(notebook):
    """What its cells print."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    return "".join(out["text"] for out in outputs if out.get("name") == "stdout")


def test_the_training_of_the_tiny_model(tmp_path):
    quick = ["--minutes", 0.05, "--images", 32, "--batch-size", 8, "--out", tmp_path]
    assert "lesson mix" in run_module("training.tiny.train", *quick)
    run_module("training.tiny.train", *quick, "--start-at", "questions", "--bfloat16")
    stored = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert stored["model_type"] == "ecso_llava"
    _, report = ECSOLlavaForConditionalGeneration.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(report.values())


def test_fine_tuning_on_generated_data(tmp_path):
    quick = ["--pairs", 16, "--minutes", 0.02, "--limit", 16, "--out", tmp_path]
    assert "learned from" in run_module("training.finetune.run", *quick)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["unsafe_pairs_learned_from"] > 0
    assert set(results["before"]) == set(results["after"])


def test_the_measurement_of_the_tiny_model():
    assert "harmful ecso harmless" in run_module("training.tiny.measure", "--limit", 16)


# So long that an answer which can run on is judged in short windows, an ordinary one is not.
FEW_CELLS = ("--lengths", 16, "--batch", 2, "--rounds", 1)


def test_the_benchmark_stopped_and_resumed(tmp_path):
    file = tmp_path / "bench.json"
    asked = [*FEW_CELLS, "--out", tmp_path]
    command = module_command("benchmark.bench", *asked)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as begun:
        assert re.match(r"5 cells, about \d+ s; rows are kept in", begun.stdout.readline())
        assert begun.stdout.readline().startswith("shape small, benign")
        begun.send_signal(signal.SIGTERM)
        rest = begun.stdout.read()
    assert begun.returncode == 130
    assert re.search(r"\d of 5 cells are missing; --resume measures them", rest)
    kept = json.loads(file.read_text("utf-8"))
    assert kept and not (tmp_path / "bench.png").exists()
    printed = run_module("benchmark.bench", *asked, "--resume")
    assert not printed.startswith("5 cells")
    rows = json.loads(file.read_text("utf-8"))
    assert rows[: len(kept)] == kept
    assert {row["path"] for row in rows} == {"benign", "flagged", "mixed"}
    assert {"direct", "published", "floor", "ours"} <= {row["variant"] for row in rows}
    for row in rows:
        assert row["ms"] > 0 and row["ratio_to_direct"] > 0
    assert (tmp_path / "bench.png").stat().st_size > 0


def test_no_cell_is_begun_that_would_take_too_long(tmp_path):
    asked = [*FEW_CELLS, "--out", tmp_path, "--minutes", 0]
    assert "5 of 5 cells are missing" in run_module("benchmark.bench", *asked)


def test_another_checkout_is_compared_in_turns(tmp_path):
    printed = run_module("benchmark.compare", PROJECT, *FEW_CELLS, "--out", tmp_path)
    rows = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert len(rows) == 5 * 5 and len(printed.splitlines()) == 2 + 5 * 5 + 5
    for row in rows:
        assert row["ms"] > 0 and row["ms_before"] > 0 and row["ratio"] > 0


def test_the_load_finds_no_leak_and_nothing_hung(tmp_path):
    file = tmp_path / "load.json"
    few = ["--requests", 200, "--clients", 20, "--step-ms", 5, "--faults", 0.1]
    run_module("load.load", *few, "--json", file)
    figures = json.loads(file.read_text("utf-8"))
    assert (figures["requests"], figures["leaks"], figures["hung"], figures["lost"]) == (
        200,
        0,
        0,
        0,
    )
    assert figures["with a fault"] > 5
    assert figures["statuses"]["200, safe"] > 20 and figures["statuses"]["200, direct"] > 20
