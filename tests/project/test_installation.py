"""A plain `pip install .` gives a working `ecso` from any folder."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest


pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


SOURCES = ("modeling_ecso", "hub_upload", "configuration")
IMAGES = str(PROJECT / "modeling_ecso" / "tiny" / "images")
EXTRAS = ("bench", "demo", "eval", "serve")
# Named by extras too, but transformers and huggingface-hub bring them anyway.
BROUGHT_ANYWAY = {"filelock", "httpx2", "pydantic"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of what is in the project now; an older build's leavings would get into it."""
    copy, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(PROJECT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, copy]
    subprocess.run(command, check=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_what_it_should_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    files = {
        str(file.relative_to(PROJECT)).replace("configuration/", "hub_upload/configuration/", 1)
        for source in SOURCES
        for file in (PROJECT / source).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == files
    assert {"modeling_ecso/py.typed", "modeling_ecso/tiny/model.safetensors"} <= files
    assert {"hub_upload/py.typed", "hub_upload/configuration/recipes/tiny.yaml"} <= files
    notices = {name.split("/")[-1] for name in names if "/licenses/" in name}
    assert notices == {"LICENSE", "NOTICE"}


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
        + ["from hub_upload.recipe import *; print(configuration_folder()); load_recipe('tiny')"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in found.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["datagen", "--queries", "pairs.jsonl", "--images", IMAGES, "--out", "data.json"],
        ["calibrate", "--benign", "pairs.jsonl", "--images", IMAGES, "--max-flagged", "50%"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_without_servers_needs_no_extra(command, tmp_path):
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", "utf-8")
    of_extras = re.findall(
        r"^[\w-]+", "\n".join(setup["options.extras_require"][name] for name in EXTRAS), re.M
    )
    missing = sorted({name.replace("-", "_") for name in of_extras} - BROUGHT_ANYWAY)
    assert {"openai", "gradio", "inspect_ai"} <= set(missing)
    pair = {"image": "kite.png", "query": "What colour is it?"}
    (tmp_path / "pairs.jsonl").write_text(f"{json.dumps(pair)}\n" * 8)
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        f"from modeling_ecso.cli import main; sys.exit(main({command}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
