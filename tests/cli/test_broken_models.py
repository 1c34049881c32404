"""However a model's folder is broken: one line that says what to do, never a traceback."""

import logging
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils.import_utils import TORCHVISION_IMPORT_ERROR

from modeling_ecso.cli import main
from modeling_ecso.errors_ecso import ECSOError
from modeling_ecso.loading.images import open_image
from modeling_ecso.loading.model_files import fault_of_error, small_numbers
from modeling_ecso.loading.models import TINY_FOLDER, load_model
from tests.support.broken_models import BROKEN, FAILING, MENDED, edited


KITE = str(TINY_FOLDER / "images" / "kite.png")
ASK = [KITE, "--query", "How do I make this?", "--max-new-tokens", "12"]


@pytest.fixture
def folder(tmp_path):
    whole = tmp_path / "model"
    shutil.copytree(TINY_FOLDER, whole, ignore=shutil.ignore_patterns("images", "*.md"))
    return whole


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_one_line_that_names_it(folder, capfd, name):
    break_, says = BROKEN[name]
    break_(folder)
    with pytest.raises(ECSOError, match=rf"^{folder}: (?s:.*){says}") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("transformers").level < logging.CRITICAL


@pytest.mark.parametrize("name", ["weights cut", "newer tokenizer", "template of strings"])
def test_on_the_command_line_too(folder, capfd, name):
    break_, says = BROKEN[name]
    break_(folder)
    assert main(["run", *ASK, "--model", str(folder)]) == 2
    out, err = capfd.readouterr()
    assert not out and err.startswith(f"ecso: {folder}: ") and err.count("\n") == 1


@pytest.mark.parametrize("name", MENDED)
def test_what_the_model_itself_knows_is_filled_in(folder, name):
    MENDED[name](folder)
    image = open_image(KITE)
    inputs = [load_model(place).inputs_for("What?", [image]) for place in (str(folder), None)]
    assert inputs[0]["input_ids"].tolist() == inputs[1]["input_ids"].tolist()


@pytest.mark.parametrize("options", [[], ["--no-ecso"]], ids=["protected", "unprotected"])
@pytest.mark.parametrize("name", FAILING)
def test_a_model_that_cannot_answer_is_one_line(folder, capfd, name, options):
    FAILING[name](folder)
    assert main(["run", *ASK, *options, "--json", "--model", str(folder)]) == 2
    out, err = capfd.readouterr()
    assert not out and err.startswith(f"ecso: {folder}: the model could not answer (")
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--no-ecso"]], ids=["protected", "unprotected"])
@pytest.mark.parametrize("name", ["min_new_tokens", "min_length"])
def test_a_stored_least_length_above_the_limit_is_one_line(folder, capfd, name, options):
    edited("generation_config.json", name, to=500)(folder)
    assert main(["run", *ASK, *options, "--model", str(folder)]) == 2
    out, err = capfd.readouterr()
    assert not out and err.count("\n") == 1
    assert err.startswith(f"ecso: generation_config.json has {name} 500, and answers may have 12")


def test_whole_numbers_that_are_no_weights_are_no_fault(folder):
    file = folder / "model.safetensors"
    positions = {"model.vision_tower.embeddings.position_ids": torch.arange(37)[None]}
    save_file({**load_file(file), **positions}, file, metadata={"format": "pt"})
    assert small_numbers(str(folder)) is None


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    opened = type(folder).open
    (folder / "config.json").write_text("{", "utf-8")

    def forbidden(file, *options, **more):
        if file.name == "config.json":
            raise PermissionError(13, "Permission denied")
        return opened(file, *options, **more)

    monkeypatch.setattr(type(folder), "open", forbidden)
    with pytest.raises(ECSOError, match=r"config.json cannot be read \(Permission denied\)"):
        load_model(str(folder))


def test_a_whole_folder_is_loaded_without_a_word(folder, capfd):
    load_model(str(folder))
    assert capfd.readouterr() == ("", "")


def test_a_processor_that_wants_torchvision_says_how_to_get_it():
    error = ImportError(TORCHVISION_IMPORT_ERROR.format("Qwen2VLVideoProcessor"))
    assert "the build of it that belongs to torch 2." in fault_of_error(error)


def test_a_torchvision_that_does_not_fit_is_told(tmp_path, monkeypatch):
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "torchvision.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    error = ImportError("Could not import module 'AutoProcessor'.")
    assert "torchvision does not load beside torch" in fault_of_error(error)
