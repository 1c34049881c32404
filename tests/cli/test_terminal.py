"""Nothing that a model or a user wrote steers the terminal."""

import ast
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from modeling_ecso.cli import main, terminal
from modeling_ecso.loading.models import TINY_FOLDER, LoadedModel


KITE = str(TINY_FOLDER / "images" / "kite.png")
# The title of the window, the clipboard, a colour, the cursor; the same in eight bits; a bell,
# a return to the line's beginning, text from right to left, half a character.
EVIL = (
    "\x1b]0;title\x07 \x1b]52;c;AAAA\x1b\\ \x1b[31m \x1b[2J \x9b2J \x9d0;title\x9c \x07 one\rtwo"
    " \u202eevil\u202c \u2066x\u2069 \ud83d \x7f \x00"
)


def steering(text):
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"] + [
        c for c in text if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "RLI")
    ]


def test_the_text_that_is_tried_steers():
    assert len(steering(EVIL)) >= 15


@pytest.mark.parametrize("options", [[], ["--json"], ["--no-ecso"], ["--no-ecso", "--json"]])
def test_an_answer_does_not(capsys, monkeypatch, options):
    monkeypatch.setattr(LoadedModel, "text_of", lambda *_: EVIL)
    assert main(["run", KITE, "--query", "How do I make this?", *options]) == 0
    out = capsys.readouterr().out
    assert "evil" in out and not steering(out)
    if "--json" in options:
        assert json.loads(out)["answer"] == EVIL


def test_a_query_does_not(capsys):
    query = f"How do I make this? {EVIL}".replace("\ud83d", "")
    assert main(["run", KITE, "--query", query, "--max-new-tokens", "4"]) == 0
    assert not steering(capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", f"{EVIL}.png", "--query", "?"],
        ["run", KITE, "--query", "?", "--model", EVIL],
        ["run", KITE, "--query", "?", "--preset", EVIL],
        ["run", KITE, "--query", "?", f"--{EVIL}"],
        ["run", KITE, "--query", "?", "--max-new-tokens", EVIL],
        ["datagen", "--images", EVIL, "--queries", EVIL, "--out", EVIL],
        ["demo", "--upstream", EVIL],
        ["demo", "--host", EVIL],
        [EVIL],
    ],
    ids=lambda arguments: arguments[0][:8].strip("\x1b]"),
)
def test_an_error_does_not_and_is_one_line(capsys, arguments):
    try:
        status = main([argument.replace("\x00", "") for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert status == 2 and not out and not steering(err)
    assert err.startswith("ecso") and err.count("\n") == 1


def test_a_table_does_not_and_its_columns_stay_in_line():
    table = Table("name", "value")
    table.add_row(Text(EVIL), "1")
    table.add_row("plain", "2")
    screen = terminal.TerminalConsole(file=io.StringIO(), width=120, force_terminal=False)
    screen.print(table)
    lines = screen.file.getvalue().splitlines()
    assert not steering("\n".join(lines)) and len({len(line) for line in lines}) == 1


def test_colours_are_the_commands_own_and_only_on_a_terminal():
    for is_terminal in (False, True):
        screen = terminal.TerminalConsole(
            file=io.StringIO(), force_terminal=is_terminal, _environ={"TERM": "xterm"}
        )
        screen.print(Text("answer \x1b[31m", style="bold"))
        shown = screen.file.getvalue()
        assert ("\x1b[1m" in shown) is is_terminal and "\x1b[31m" not in shown


def test_what_is_at_work_is_said_on_a_terminal_alone():
    for is_terminal in (False, True):
        screen = terminal.TerminalConsole(
            file=io.StringIO(), force_terminal=is_terminal, _environ={"TERM": "xterm"}
        )
        with terminal.loading("folder \x1b]0;title\x07", screen):
            pass
        shown = screen.file.getvalue()
        assert ("loading folder" in shown) is is_terminal and "title\x07" not in shown
        assert is_terminal or not shown.strip()


def test_a_reader_that_has_gone_away_is_no_traceback():
    code = "from modeling_ecso.cli.terminal import print_json; print_json({'answer': 'a' * 10**6})"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1 and not done.stderr


@pytest.mark.parametrize(
    "module", ["command_line", "run_command", "demo_command", "datagen_command", "model_options"]
)
def test_there_is_no_other_way_to_the_terminal(module):
    file = Path(terminal.__file__).with_name(f"{module}.py")
    calls = [n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call)]
    called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    methods = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    assert not called & {"print", "Console"} and "write" not in methods
