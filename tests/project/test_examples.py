"""The scripts in examples/ run, on as little as they take."""

import json

import pytest

from modeling_ecso import ECSOLlavaForConditionalGeneration
from tests.support.scripts import run_file, run_module


pytestmark = pytest.mark.slow


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


def test_the_benchmark(tmp_path):
    printed = run_module(
        "benchmark.bench", "--lengths", 1, 4, "--batch", 2, "--rounds", 1, "--out", tmp_path
    )
    assert "shape small" in printed
    rows = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert {row["path"] for row in rows} == {"benign", "flagged", "mixed"}
    assert {"direct", "published", "floor", "ours"} <= {row["variant"] for row in rows}
    for row in rows:
        assert row["ms"] > 0 and row["ratio_to_direct"] > 0
    assert (tmp_path / "bench.png").stat().st_size > 0


def test_the_load_finds_no_leak_and_nothing_hung(tmp_path):
    file = tmp_path / "load.json"
    few = ["--requests", 200, "--clients", 20, "--step-ms", 5, "--faults", 0.1]
    run_file("load/load.py", *few, "--json", file)
    figures = json.loads(file.read_text("utf-8"))
    assert (figures["requests"], figures["leaks"], figures["hung"], figures["lost"]) == (
        200,
        0,
        0,
        0,
    )
    assert figures["with a fault"] > 5
    assert figures["statuses"]["200, safe"] > 20 and figures["statuses"]["200, direct"] > 20
