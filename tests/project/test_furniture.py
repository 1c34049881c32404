"""The files that a public forge and package index read say what is true."""

import configparser
import re

import pytest
import yaml

from modeling_ecso import __version__
from modeling_ecso.presets_ecso import PRESETS
from tests.support.scripts import PROJECT


def test_the_notice_quotes_the_three_prompts_word_for_word():
    notice = (PROJECT / "NOTICE").read_text("utf-8")
    for step in ("detect_prompt", "caption_prompt", "safe_prompt"):
        assert PRESETS["paper"][step] in notice


def test_the_citation_is_of_this_version():
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", "utf-8")
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
    assert citation["license"] == setup["metadata"]["license"]


@pytest.mark.parametrize("name", ["ci", "release"])
def test_a_workflow_may_do_no_more_than_it_needs(name):
    workflow = yaml.safe_load((PROJECT / ".github/workflows" / f"{name}.yml").read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert set(step) & {"run", "uses"}
            # A tag can be moved to other code; a commit cannot.
            assert re.search(r"@[0-9a-f]{40}$", step.get("uses", f"@{'0' * 40}"))
            assert "${{" not in step.get("run", "")


def test_the_workflow_runs_what_is_run_here():
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert {"run": ".ci/run"} in workflow["jobs"]["tests"]["steps"]


def test_the_commands_for_contributors_are_there():
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"make ([\w-]+)", text)
    assert len(named) >= 4 and set(named) <= set(targets)
