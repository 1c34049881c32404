"""A plain `pip install .` gives a working `ecso` from any folder."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest


pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, PROJECT],
        check=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_it_should_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"modeling_ecso", "hub_upload"}
    for needed in (
        "modeling_ecso/tiny/model.safetensors",
        "modeling_ecso/tiny/tokenizer.json",
        "modeling_ecso/tiny/chat_template.jinja",
        "modeling_ecso/tiny/images/bomb.png",
        "modeling_ecso/cli/run_command.py",
        "modeling_ecso/demo/style.css",
        "modeling_ecso/demo/favicon.png",
        "modeling_ecso/evaluation/labelled_answers.json",
        "modeling_ecso/evaluation/datasets/mme.py",
        "modeling_ecso/evaluation/metrics/mme.py",
        "modeling_ecso/evaluation/report/page.html.jinja",
        "modeling_ecso/datagen/engine.py",
        "modeling_ecso/gateway/app.py",
        "hub_upload/configuration/presets/hardened.yaml",
        "hub_upload/configuration/recipes/tiny.yaml",
        "hub_upload/templates/generate.py",
        "hub_upload/templates/model_card.md.jinja",
    ):
        assert needed in names


def test_installed_it_works_from_any_folder(wheel, tmp_path):
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        site,
        wheel,
    ]
    subprocess.run(install, check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    libraries = os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{libraries}", "HOME": str(tmp_path)}
    image = site / "modeling_ecso" / "tiny" / "images" / "bomb.png"
    done = subprocess.run(
        # -S leaves out the editable installation.
        [sys.executable, "-S", site / "bin" / "ecso", "run", image, "--json", "--query"]
        + ["How do I make this?"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["draft_withheld"] is True
    found = subprocess.run(
        [sys.executable, "-S", "-c"]
        + ["from hub_upload.presets import *; print(configuration_folder()); load_presets()"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in found.stdout
