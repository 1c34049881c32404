"""The `ecso` command as a person meets it: output, errors in one line, exit status."""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from modeling_ecso.cli import main
from modeling_ecso.loading.models import TINY_FOLDER, LoadedModel
from tests.support.scripted import Script
from tests.support.tiny_random import make_model


IMAGES = TINY_FOLDER / "images"
BOMB, KITE = str(IMAGES / "bomb.png"), str(IMAGES / "kite.png")
ASK = ["--query", "How do I make this?"]
CAPTION = "The picture shows"


def run(capsys, *arguments):
    """Return exit status, standard output and standard error."""
    try:
        status = main(["run", *arguments])
    except SystemExit as stop:
        status = stop.code
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def test_a_harmful_pair_shows_the_four_steps(capsys):
    status, out, err = run(capsys, BOMB, *ASK)
    assert status == 0 and not err
    labels = [line.split()[0] for line in out.splitlines()[1:] if line.strip()]
    assert labels == ["image", "query", "direct", "detect", "caption", "safe", "answer"]
    assert "withheld" in out and "unsafe" in out and " tokens, " in out and " ms\n" in out
    assert "step one" not in out


def test_a_benign_pair_is_answered_directly(capsys):
    status, out, _ = run(capsys, KITE, *ASK)
    assert status == 0
    assert "caption" not in out
    assert "kite" in out.split("answer")[-1]


def test_json_is_one_object_with_the_promised_keys(capsys):
    status, out, err = run(capsys, BOMB, *ASK, "--json")
    report = json.loads(out)
    assert status == 0 and not err
    assert report["draft_withheld"] is True
    assert isinstance(report["p_unsafe"], float)
    assert (report["preset"], report["model"]) == ("paper", "tiny")
    assert [step["step"] for step in report["steps"]] == ["direct", "detect", "caption", "safe"]
    for step in report["steps"]:
        assert set(step) == {"step", "tokens", "ms"} and step["tokens"] > 0 and step["ms"] > 0
    assert not {"draft", "caption"} & set(report)
    assert "step one" not in out and CAPTION not in out


def test_json_for_a_benign_pair(capsys):
    report = json.loads(run(capsys, KITE, *ASK, "--json")[1])
    assert report["draft_withheld"] is False
    assert len(report["steps"]) == 2


@pytest.mark.parametrize("stored", [False, True])
def test_draft_and_caption_are_shown_on_request_only(capsys, tmp_path, stored):
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["ecso"] |= {"keep_draft": stored, "keep_caption": stored}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    ask = [BOMB, *ASK, "--model", str(folder)]
    for output in ([], ["--json"]):
        out = run(capsys, *ask, *output)[1]
        assert "step one" not in out and CAPTION not in out
    report = json.loads(run(capsys, *ask, "--json", "--show-withheld")[1])
    assert report["draft"] != report["answer"]
    assert "bomb" in report["draft"] and CAPTION in report["caption"]
    shown = " ".join(run(capsys, *ask, "--show-withheld")[1].split())
    assert report["draft"] in shown and report["caption"] in shown


def test_an_image_full_of_text_leaves_no_word_of_it(capsys, monkeypatch, processor):
    model = make_model(processor)
    words = {"detect": "yes", "caption": "step one of the text in the picture", "safe": "I cannot."}
    Script(model, processor, direct="Sure.", **words)
    loaded = LoadedModel(model, processor, "scripted")
    monkeypatch.setattr("modeling_ecso.cli.run_command.load_model", lambda _: loaded)
    for options in ([], ["--json"]):
        out = run(capsys, BOMB, *ASK, *options)[1]
        assert "text in the picture" not in out and "I cannot." in out


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
def test_every_preset_protects(capsys, preset):
    report = json.loads(run(capsys, BOMB, *ASK, "--json", "--preset", preset)[1])
    assert report["draft_withheld"] is True and report["preset"] == preset


def test_without_protection_it_says_so(capsys):
    _, out, _ = run(capsys, BOMB, *ASK, "--no-ecso")
    assert "not protected" in out and "ECSO off" in out
    report = json.loads(run(capsys, BOMB, *ASK, "--no-ecso", "--json")[1])
    assert report["protected"] is False and report["steps"] == []


def test_a_query_longer_than_the_model_reads_is_one_line(capsys):
    status, out, err = run(capsys, BOMB, "--query", "x" * 10_000, "--json")
    assert status == 2 and not out
    assert re.fullmatch(
        r"ecso: query and images take \d+ tokens and the model reads 2048, .*\n", err
    )


# The direct step can read it; the detect step, whose prompt holds the draft as well, can not.
LONG = ["--query", "x" * 1960]


def test_a_query_too_long_for_the_detect_step_is_refused_and_it_says_why(capsys):
    status, out, _ = run(capsys, BOMB, *LONG)
    text = " ".join(out.split())
    assert status == 0
    assert "I can't help with that. (the configured refusal; the detect step" in text


def test_a_query_too_long_for_the_detect_step_is_one_line_where_errors_are_raised(capsys, tmp_path):
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["ecso"]["on_error"] = "raise"
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    status, _, err = run(capsys, BOMB, *LONG, "--model", str(folder))
    lines = [line for line in err.splitlines() if line.startswith("ecso: ")]
    assert status == 2 and len(lines) == 1 and "the detect step could not be run" in lines[0]
    assert "Traceback" not in err


def test_several_images_and_none(capsys):
    assert run(capsys, BOMB, KITE, *ASK, "--json")[0] == 0
    report = json.loads(run(capsys, "--query", "How do I make a kite?", "--json")[1])
    assert [step["step"] for step in report["steps"]] == ["direct"]


def test_a_model_from_a_folder(capsys, processor, tmp_path):
    make_model(processor).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    status, out, _ = run(
        capsys, KITE, *ASK, "--json", "--model", str(tmp_path), "--max-new-tokens", "4"
    )
    assert status == 0
    assert json.loads(out)["model"] == str(tmp_path)


def test_a_folder_with_brackets_in_its_name_is_shown_as_it_is(capsys, processor, tmp_path):
    folder = tmp_path / "[/model]"
    make_model(processor).save_pretrained(folder)
    processor.save_pretrained(folder)
    status, out, _ = run(capsys, KITE, *ASK, "--model", str(folder), "--max-new-tokens", "4")
    assert status == 0
    assert "[/model]" in "".join(out.splitlines())


def bomb_file(path):
    """Write a PNG that claims 30,000 x 30,000 pixels and holds none."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    path.write_bytes(data)


@pytest.fixture
def bad_files(tmp_path):
    (tmp_path / "text.png").write_text("no image", "utf-8")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = Path(BOMB).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    bomb_file(tmp_path / "bomb.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.png", *ASK], "missing.png: no such file"),
        (["text.png", *ASK], "text.png: not an image"),
        (["empty.png", *ASK], "empty.png: not an image"),
        (["cut.png", *ASK], "cut.png: the image is damaged"),
        (["bomb.png", *ASK], "bomb.png: .* 100 million pixels"),
        (["folder", *ASK], "folder: not a file"),
        ([KITE, "--query", "  "], "--query is empty"),
        ([KITE], "required: --query"),
        ([KITE, *ASK, "--preset", "strict"], "'strict' is unknown; choose from reference, paper"),
        ([KITE, *ASK, "--max-new-tokens", "0"], "--max-new-tokens is 0"),
        ([KITE, *ASK, "--max-new-tokens", "few"], "invalid int value: 'few'"),
        ([KITE, *ASK, "--model", "folder"], "folder: a model of type 'bert'"),
        ([KITE, *ASK, "--model", "broken"], "broken: config.json, line 1: not valid JSON"),
        ([KITE, *ASK, "--model", "no/such-model"], "no/such-model: no model could be loaded"),
        ([KITE, *ASK, "--model", "."], "there is no config.json"),
        (["--query", "what is <image>?"], "image token"),
        ([KITE, *ASK, "--frobnicate"], "unrecognized arguments"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_status_2(capsys, monkeypatch, bad_files, arguments, says):
    monkeypatch.chdir(bad_files)
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert not out.strip() or "ECSO on" in out
    lines = [line for line in err.splitlines() if line.startswith("ecso")]
    assert len(lines) == 1 and re.search(says, lines[0]), err
    assert "Traceback" not in err


def test_a_model_with_broken_settings_names_the_key(capsys, processor, tmp_path):
    make_model(processor).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    config["ecso"]["verdict_rule"] = "maybe"
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    status, _, err = run(capsys, KITE, *ASK, "--model", str(tmp_path))
    assert status == 2 and "ecso.verdict_rule must be one of" in err


def test_as_a_process_it_prints_nothing_but_its_own():
    command = [sys.executable, "-m", "modeling_ecso.cli", "run", BOMB, *ASK]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_as_a_process_it_has_the_same_exit_status_and_starts_fast(tmp_path):
    command = [sys.executable, "-m", "modeling_ecso.cli"]
    done = subprocess.run([*command, "run", "none.png", *ASK], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("ecso: none.png")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "modeling_ecso.cli", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert loaded.returncode == 0
    assert "torch" not in loaded.stderr


def test_without_arguments_it_shows_what_one_can_do_with_examples_that_are_understood(capsys):
    from docs.generate.commands_page import parser_of

    assert main([]) == 0
    said, _, examples = capsys.readouterr().out.partition("examples:")
    assert "serve" in said
    lines = examples.strip().splitlines()
    assert len(lines) >= 3
    for line in lines:
        parser_of(main).parse_args(shlex.split(line)[1:])
