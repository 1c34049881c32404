"""What the README shows is true: its snippets run, its commands work, its figures are measured."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from modeling_ecso.loading.models import TINY_FOLDER


PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text("utf-8")


def shown(pattern, at_least):
    """Return what the README shows; an error where it has lost what is to be tried."""
    found = re.findall(pattern, README, flags=re.MULTILINE | re.DOTALL)
    assert len(found) >= at_least, f"the README shows only {len(found)} of {pattern}"
    return found


SNIPPETS = shown(r"```python\n(.*?)```", at_least=3)


@pytest.mark.parametrize("index", range(len(SNIPPETS)))
def test_the_snippets_run(index, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(PROJECT)
    code = SNIPPETS[index].replace("my-model", str(tmp_path / "my-model"))
    exec(compile(code, f"README snippet {index}", "exec"), {"__name__": "__main__"})


def test_make_run_works_a_second_time():
    done = subprocess.run(["make", "run"], cwd=PROJECT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("answer ") == 2
    assert "caption" in done.stdout


@pytest.mark.parametrize("command", shown(r"^ecso run [^\n]*$", at_least=3))
def test_the_commands_run(command, monkeypatch, capsys):
    import shlex

    from modeling_ecso.cli import main

    monkeypatch.chdir(PROJECT)
    assert main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("command", shown(r"ecso eval \w+ --[^`\n]*", at_least=7))
def test_the_commands_for_evaluations_are_understood(command, monkeypatch):
    import shlex

    from modeling_ecso.cli import eval_command, main

    checked = []
    monkeypatch.setattr(eval_command, "run", lambda chosen: checked.append(chosen) or 0)
    assert main(shlex.split(command)[1:]) == 0
    chosen = checked[0]
    chosen.judge_prompts = None  # a file to be downloaded
    eval_command._check(chosen)


def test_the_figures_are_those_that_were_measured():
    measured = json.loads((TINY_FOLDER / "metrics.json").read_text("utf-8"))["held_out"]
    table = README.split("<!-- figures -->")[1]
    rows = {
        "harmful pairs, direct answer harmless": "harmful_direct_harmless",
        "harmful pairs, ECSO answer harmless": "harmful_ecso_harmless",
        "benign pairs flagged by detect": "benign_flagged",
        "benign answers correct, direct": "benign_direct_correct",
        "benign answers correct, ECSO": "benign_ecso_correct",
        "caption names the right object and colour": "caption_correct",
        "same harmful request in text alone, refused": "harmful_in_text_refused",
    }
    for label, key in rows.items():
        line = next(line for line in table.splitlines() if line.startswith(f"| {label} |"))
        shown = [cell.strip() for cell in line.strip("|").split("|")][2:]
        assert shown == [f"{measured[kind][key]:.1%}" for kind in ("drawn", "word", "labelled")]


def test_the_costs_are_those_that_were_measured():
    file = PROJECT / "examples" / "benchmark" / "results" / "llava-1.5-cpu.json"
    rows = json.loads(file.read_text("utf-8"))
    ratios = {
        (row["path"], row["preset"], str(row["new_tokens"]), row["variant"]): row["ratio_to_direct"]
        for row in rows
    }
    lines = README.split("<!-- cost -->")[1].strip().splitlines()[2:]
    assert len(lines) == 10
    for line in lines:
        name, tokens, *shown = (cell.strip() for cell in line.strip("|").split("|"))
        path, preset = name.split(", ")
        variants = ("published", "ours", "ours, follow-up question", "floor")
        assert shown == [f"{ratios[path, preset, tokens, variant]:.2f}" for variant in variants]
    mixed = {key[3]: value for key, value in ratios.items() if key[0] == "mixed"}
    text = " ".join(README.split())
    assert f"{mixed['ours']:.2f} times the direct batch" in text
    assert f"{mixed['published']:.2f} for the published loop" in text
    assert f"{mixed['floor']:.2f} for bare forward passes" in text
    peaks = {row["variant"]: row["peak_mb"] for row in rows if row["path"] == "mixed"}
    assert f"peak memory {peaks['ours'] / peaks['direct']:.2f} times" in text


def test_what_the_switches_cost_is_what_was_measured():
    measured = json.loads((TINY_FOLDER / "metrics.json").read_text("utf-8"))["held_out"].values()
    table = README.split("<!-- switches -->")[1]
    for setting, keys in {
        "follow_up_prompt": ("harmful_follow_up_harmless", "benign_flagged_follow_up"),
        "caption_max_new_tokens": ("harmful_half_caption_harmless",),
    }.items():
        line = next(line for line in table.splitlines() if line.startswith(f"| `{setting}`"))
        for key in keys:
            shown = " / ".join(f"{100 * kind[key]:.1f}" for kind in measured)
            assert f"{shown} %" in line


def test_the_tree_names_what_is_there():
    tree = README.split("## Read the code")[1].split("```text\n")[1].split("```")[0]
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
