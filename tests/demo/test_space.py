"""The folder of the Hub Space: complete, pinned, and its app answers."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from hub_upload.command import main
from hub_upload.space import GRADIO_VERSION, write_space


def test_the_card_pins_what_the_tests_run_with(tmp_path):
    write_space(tmp_path, requirement="ecso-llava[demo]==0.2.0")
    assert {path.name for path in tmp_path.iterdir()} == {"app.py", "requirements.txt", "README.md"}
    card = yaml.safe_load((tmp_path / "README.md").read_text("utf-8").split("---\n")[1])
    assert (card["sdk"], card["app_file"]) == ("gradio", "app.py")
    assert card["sdk_version"] == GRADIO_VERSION
    constraints = (Path(__file__).parents[2] / "constraints.txt").read_text("utf-8")
    assert f"gradio=={GRADIO_VERSION}" in constraints.splitlines()
    assert len(card["short_description"]) <= 60  # what the Hub takes
    assert (tmp_path / "requirements.txt").read_text("utf-8") == "ecso-llava[demo]==0.2.0\n"


def test_the_default_requirement_is_this_version(tmp_path):
    write_space(tmp_path)
    line = (tmp_path / "requirements.txt").read_text("utf-8")
    assert re.fullmatch(r"ecso-llava\[demo\]==\d+\.\d+\.\d+\n", line)


@pytest.mark.parametrize("requirement", ["", "one\ntwo"])
def test_a_requirement_is_one_line(tmp_path, requirement):
    with pytest.raises(ValueError, match="give one line"):
        write_space(tmp_path / "space", requirement=requirement)
    assert not (tmp_path / "space").exists()
    assert main(["build-space", "--out", str(tmp_path), "--requirement", requirement]) == 2


def test_a_model_is_named_in_app_and_card(tmp_path):
    write_space(tmp_path, model="someone/model")
    assert "offered_models(['someone/model'])" in (tmp_path / "app.py").read_text("utf-8")
    assert "`someone/model`" in (tmp_path / "README.md").read_text("utf-8")


def test_its_app_answers(tmp_path):
    assert main(["build-space", "--out", str(tmp_path / "space")]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    with (tmp_path / "log").open("w") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=tmp_path / "space",
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        assert "Eyes Closed, Safety On" in page_of(app, port, tmp_path / "log")
    finally:
        app.terminate()
        app.wait()


def page_of(app, port, log):
    while app.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/") as response:
                assert response.status == 200
                return response.read().decode("utf-8")
        except URLError:
            time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8"))
