"""Another transformers than the one the protocol needs is named in one sentence."""

import subprocess
import sys

import pytest

from modeling_ecso import ECSORequirementError, requirements_ecso
from modeling_ecso.requirements_ecso import check_requirements


@pytest.mark.parametrize("version", ["4.57.1", "5.22.0", "6.0.0", "5.9.0.dev0"])
def test_another_version_is_refused(version):
    with pytest.raises(ImportError, match=rf"needs transformers 5\.23 .* this is {version}"):
        check_requirements(version)


@pytest.mark.parametrize("version", ["5.23.0", "5.23.1", "5.24.0.dev0", "5.100.2"])
def test_a_later_one_is_taken(version):
    check_requirements(version)


GONE = [
    pytest.param(part, place, id=f"{part[2]}-{what}")
    for part in requirements_ecso._INNER_PARTS
    for place, what in enumerate(("module", "class", "name"))
    if part[place] is not None  # a function has no class
]


@pytest.mark.parametrize("part, gone", GONE)
def test_an_inner_part_that_is_gone_is_named(monkeypatch, part, gone):
    part = [*part[:gone], f"{part[gone]}_gone", *part[gone + 1 :]]
    monkeypatch.setattr(requirements_ecso, "_INNER_PARTS", (tuple(part),))
    with pytest.raises(
        ImportError, match=rf"needs {part[1] or part[0]}\.{part[2]} of transformers"
    ):
        check_requirements()


def test_it_comes_before_anything_else_and_is_one_line_of_the_command():
    code = """
import sys
from importlib import import_module
import transformers
transformers.__version__ = "4.57.1"
from modeling_ecso.cli.command_line import run_program

def add_to(commands):
    loads = lambda _: import_module("modeling_ecso.configuration_ecso")
    commands.add_parser("load").set_defaults(function=loads)

sys.exit(run_program("ecso", "", [add_to], ["load"], examples=""))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and issubclass(ECSORequirementError, ImportError)
    assert done.stderr.startswith("ecso: ECSO needs transformers 5.23")
    assert len(done.stderr.splitlines()) == 1
