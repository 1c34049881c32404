"""What a person sees when something about an evaluation is wrong: one line, and nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from inspect_ai.model import get_model

from modeling_ecso.cli import main
from modeling_ecso.evaluation.prerequisite import PrerequisiteError, plain_message


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--judge", "nonsense"], "judge nonsense cannot be had"),
        (["--judge", "nobody/model"], "judge nobody/model cannot be had"),
        (["--log-dir", "file"], "--log-dir file: nothing can be written there"),
        (["--log-dir", "/proc/logs"], "--log-dir /proc/logs: nothing can be written there"),
        (["--export", "file"], "--export file: nothing can be written there"),
        (["--model", "/tmp/[/red]x"], "/tmp/[/red]x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options_are_one_line(capsys, miniatures, options, says):
    data = str(miniatures / "vlsafe")
    assert main(["eval", "vlsafe", "--data", data, "--limit", "1", *options]) == 2
    seen = capsys.readouterr()
    assert says in seen.err and len(seen.err.strip().splitlines()) == 1
    assert "Traceback" not in seen.out + seen.err


@pytest.mark.parametrize("option", [["--limit", "1"], ["--direct"], ["--preset", "paper"]], ids=str)
def test_judging_again_takes_no_option_that_it_would_ignore(capsys, option):
    assert main(["eval", "vlsafe", "--score-again", *option]) == 2
    assert f"it takes no {option[0]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"protocl": "direct"}, "no argument protocl; choose from variant, preset"),
        ({"variant": "none"}, "variant 'none' is unknown"),
        ({"batch_size": "abc"}, "batch_size is 'abc'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"preset": "paranoid"}, "paranoid"),
    ],
    ids=str,
)
def test_bad_arguments_of_the_provider_are_one_plain_message(arguments, says):
    with pytest.raises(PrerequisiteError) as told:
        get_model("ecso/tiny", memoize=False, **arguments)
    assert says in plain_message(told.value)


def test_a_log_that_is_cut_short_is_named(capsys, miniatures):
    options = ["--data", str(miniatures / "mmvet"), "--limit", "1", "--direct", "--log-dir", "logs"]
    assert main(["eval", "mmvet", *options]) == 0
    whole = next(Path("logs").glob("*.eval"))
    cut = whole.with_name("2026-01-01T00-00-00-00-00_mmvet_cut.eval")
    cut.write_bytes(whole.read_bytes()[:1000])
    capsys.readouterr()
    for command in (["report", "logs", "--out", "report"], ["eval", "mmvet", *options, "--resume"]):
        assert main(command) == 2
        told = capsys.readouterr().err.strip()
        assert told.startswith(f"ecso: {Path('logs').resolve() / cut.name}: the log cannot be read")
        assert len(told.splitlines()) == 1


# `ecso`, on a model that takes long enough to be interrupted.
SLOWLY = """
import sys, time
from modeling_ecso.cli import main
from modeling_ecso.loading.models import LoadedModel

answers = LoadedModel.answers

def slowly(*given, **options):
    time.sleep(4)
    return answers(*given, **options)

LoadedModel.answers = slowly
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_run_goes_on_with_resume(miniatures, folder):
    command = ["eval", "mme", "--direct", "--data", str(miniatures / "mme")]
    command += ["--batch-size", "1", "--log-dir", "logs"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    begun = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("logs/*.eval")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(2):  # as a person does who was not heard: a library may lose the first
        begun.send_signal(signal.SIGINT)
        try:
            out, err = begun.communicate(timeout=45)  # to end takes a while
            break
        except subprocess.TimeoutExpired:
            continue
    assert begun.returncode == 130, err
    assert "--resume" in err and "Traceback" not in out + err
    again = [sys.executable, "-m", "modeling_ecso.cli", *command, "--resume"]
    done = subprocess.run(again, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "28/28" in done.stdout


def test_data_that_are_nowhere_are_told_before_a_model_is_loaded(capsys):
    asked = ["eval", "vlsafe", "--data", "nowhere", "--model", "no-model-either"]
    assert main(asked) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
