"""What the README shows is true: its snippets run, its commands work, its figures are measured."""

import json
import subprocess
from pathlib import Path

from modeling_ecso.loading.models import TINY_FOLDER


PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"


def test_make_run_works_a_second_time():
    done = subprocess.run(["make", "run"], cwd=PROJECT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("answer ") == 2
    assert "caption" in done.stdout


def test_the_costs_in_words_are_those_that_were_measured():
    file = PROJECT / "examples" / "benchmark" / "results" / "llava-1.5-cpu.json"
    rows = json.loads(file.read_text("utf-8"))
    mixed = {row["variant"]: row for row in rows if row["path"] == "mixed"}
    ratios = {variant: row["ratio_to_direct"] for variant, row in mixed.items()}
    text = " ".join((DOCS / "cost.md").read_text("utf-8").split())
    assert f"{ratios['ours']:.2f} times the direct batch" in text
    assert f"{ratios['published']:.2f} for the published loop" in text
    assert f"{ratios['floor']:.2f} for bare forward passes" in text
    assert f"peak memory {mixed['ours']['peak_mb'] / mixed['direct']['peak_mb']:.2f} times" in text


def test_what_the_switches_cost_is_what_was_measured():
    measured = json.loads((TINY_FOLDER / "metrics.json").read_text("utf-8"))["held_out"].values()
    table = (DOCS / "cost.md").read_text("utf-8").split("<!-- switches -->")[1]
    for setting, keys in {
        "follow_up_prompt": ("harmful_follow_up_harmless", "benign_flagged_follow_up"),
        "caption_max_new_tokens": ("harmful_half_caption_harmless",),
    }.items():
        line = next(line for line in table.splitlines() if line.startswith(f"| `{setting}`"))
        for key in keys:
            shown = " / ".join(f"{100 * kind[key]:.1f}" for kind in measured)
            assert f"{shown} %" in line


def test_the_tree_names_what_is_there():
    page = (DOCS / "maintainers.md").read_text("utf-8")
    tree = page.split("## The house")[1].split("```text\n")[1].split("```")[0]
    for module in (PROJECT / "modeling_ecso").glob("*_ecso.py"):
        assert module.stem in tree, module.stem
    for line in tree.splitlines():
        name = line.split()[0] if line.split() else ""
        if name.endswith("/") and not line.startswith(" "):
            assert (PROJECT / name).is_dir(), name


def test_what_fine_tuning_changes_is_what_was_measured():
    folder = PROJECT / "examples" / "training" / "finetune"
    measured = json.loads((folder / "results" / "tiny.json").read_text("utf-8"))
    metrics = json.loads((TINY_FOLDER / "metrics.json").read_text("utf-8"))
    assert measured["model_sha256"] == metrics["model_sha256"]
    text = (folder / "README.md").read_text("utf-8")
    assert f"{measured['unsafe_pairs_learned_from']} of them answered unsafely" in text
    shown = [line.strip("|").split("|")[1:] for line in text.splitlines() if line.endswith("% |")]
    assert [[cell.strip() for cell in cells] for cells in shown] == [
        [f"{measured['before'][name]:.1%}", f"{measured['after'][name]:.1%}"]
        for name in measured["before"]
    ]
