"""What README and pages show is true: snippets run, commands work, what is generated is fresh."""

import re
import shlex
from pathlib import Path

import pytest

from docs.generate.commands_page import parser_of
from docs.generate.pages import generated_files
from docs.generate.transitions import explored_transitions
from hub_upload import command as hub_command
from modeling_ecso import cli
from modeling_ecso.gateway.app import ANSWER_ROUTES
from tests.families.builders import WITHOUT_TORCHVISION


PROJECT = Path(__file__).parents[2]
PAGES = {
    file.name: file.read_text("utf-8")
    for file in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
}


def shown(pattern, at_least):
    """Return what the pages show, each once, with the first page that does."""
    found = {}
    for name, page in PAGES.items():
        for one in re.findall(pattern, page, flags=re.MULTILINE | re.DOTALL):
            found.setdefault(one, name)
    assert len(found) >= at_least, f"the pages show only {len(found)} of {pattern}"
    return [
        pytest.param(one, id=f"{name}-{number}")
        for number, (one, name) in enumerate(found.items(), 1)
    ]


def commands(name):
    """Return the lines of the console blocks that call a command, continued lines joined."""
    blocks = [
        param.values[0].replace("\\\n", " ") for param in shown(r"```console\n(.*?)```", at_least=9)
    ]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(f"{name} ")))


@pytest.fixture(scope="module")
def other_family(tmp_path_factory):
    """A tiny random model of another family than LLaVA, as it would be on disk."""
    folder = tmp_path_factory.mktemp("other")
    for part in WITHOUT_TORCHVISION["gemma3"]():
        part.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("code", shown(r"```python\n(.*?)```", at_least=6))
def test_the_snippets_run(code, other_family, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(PROJECT)
    code = code.replace("my-model", str(tmp_path / "my-model"))
    code = code.replace("Qwen/Qwen3-VL-8B-Instruct", other_family)
    exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(
    "command", [line for line in commands("ecso") if " run " in line and "--model" not in line]
)
def test_the_commands_run(command, monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    assert cli.main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("name, main", [("ecso", cli.main), ("ecso-hub", hub_command.main)])
def test_all_commands_are_understood(name, main):
    lines = commands(name)
    assert len(lines) >= 3
    for line in lines:
        parser_of(main).parse_args(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("command", shown(r"ecso eval \w+ --(?:\\\n|[^`\n])*", at_least=7))
def test_the_commands_for_evaluations_are_understood(command, monkeypatch):
    from modeling_ecso.cli import eval_command

    checked = []
    monkeypatch.setattr(eval_command, "run", lambda chosen: checked.append(chosen) or 0)
    assert cli.main(shlex.split(command.replace("\\\n", " "))[1:]) == 0
    chosen = checked[0]
    chosen.judge_prompts = None  # a file to be downloaded, as are the data
    if chosen.data and not chosen.data.startswith("hub:"):
        chosen.data = str(PROJECT)
    eval_command._check(chosen)


def test_the_blocks_install_nothing_that_is_not_on_the_package_index_yet():
    lines = [line for page in PAGES.values() for line in page.splitlines()]
    installs = [line for line in lines if line.startswith(("pip install", "$ pip install"))]
    assert len(installs) >= 4
    if "is not on the package index yet" in PAGES["README.md"]:
        assert not [line for line in installs if re.search(r"install .*ecso-llava", line)]


@pytest.mark.parametrize("route", ANSWER_ROUTES)
def test_page_and_help_of_the_gateway_name_what_it_answers(route):
    _, section = PAGES["deployment.md"].split("## What clients may send\n")
    assert f"`{route}`" in section.split("\n## ")[0]
    command = PAGES["commands.md"].split("usage: ecso serve")[1].split("usage: ")[0]
    assert re.search(rf"{route}\b", command)


def test_the_targets_of_make_are_there():
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = {one for page in PAGES.values() for one in re.findall(r"[`\n]make ([\w-]+)", page)}
    assert len(named) >= 8 and named <= set(targets)


def test_what_is_generated_is_fresh():
    stale = [
        str(file.relative_to(PROJECT))
        for file, content in generated_files().items()
        if not file.exists() or file.read_text("utf-8") != content
    ]
    assert not stale, "run `make readme`"


def test_the_states_are_those_that_the_machine_goes_through():
    ways = {(each.source, each.reply, each.target) for each in explored_transitions()}
    assert {target for _, reply, target in ways if reply == "failed"} == {"answer: refusal"}
    # Nothing that was found unsafe leads to the draft.
    assert not any("unsafe" in reply and target == "answer: direct" for _, reply, target in ways)
    assert ("detect", "unsafe", "caption") in ways and ("detect", "unsafe", "safe") in ways


def test_every_page_is_in_the_list_of_pages():
    index = PAGES["index.md"]
    listed = {
        line
        for block in re.findall(r"```{toctree}(.*?)```", index, re.DOTALL)
        for line in block.split()
    }
    assert set(PAGES) - {"README.md", "index.md"} <= {f"{name}.md" for name in listed}
