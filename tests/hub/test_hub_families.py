"""A repository for any family: built without a recipe, complete, and never loaded unprotected."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
)

from hub_upload.build import build
from hub_upload.command import main
from hub_upload.default_recipe import recipe_for
from hub_upload.verify import verify
from modeling_ecso import protect
from modeling_ecso.errors_ecso import ECSOInputError, ECSOWeightsError
from modeling_ecso.loading.families import family_classes
from modeling_ecso.loading.models import TINY_FOLDER, load_model
from tests.families.builders import WITHOUT_TORCHVISION
from tests.families.parts import picture
from tests.families.stock_calls import chat, make_inputs


# Of stock types whose tokenizer transformers looks up by the type, and of others.
FAMILIES = ["gemma3", "llava_next"]
SETTINGS = {"caption_max_new_tokens": 8}


@pytest.fixture(scope="module", params=FAMILIES)
def folders(request, tmp_path_factory):
    """A tiny random model as its stock classes store it, and what is built of that alone."""
    home = tmp_path_factory.mktemp(request.param)
    model, processor = WITHOUT_TORCHVISION[request.param]()
    model.save_pretrained(home / "base")
    processor.save_pretrained(home / "base")
    card = "---\nlicense: gemma\n---\n\nA model.\n"
    (home / "base" / "README.md").write_text(card, "utf-8")
    settings = home / "base" / "tokenizer_config.json"
    stored = json.loads(settings.read_text("utf-8")) | {"tokenizer_class": "LlamaTokenizer"}
    if request.param == "llava_next":  # as its checkpoints say, which transformers knows better
        settings.write_text(json.dumps(stored), "utf-8")
    assert main(["build", "--base", str(home / "base"), "--out", str(home / "out")]) == 0
    return home / "base", home / "out"


def test_it_answers_as_the_protected_stock_model_in_every_weight_and_word(folders):
    base, out = folders
    stock = AutoModelForImageTextToText.from_pretrained(base)
    wanted = AutoProcessor.from_pretrained(base)
    built = load_model(str(out))
    ours, theirs = built.model.state_dict(), stock.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert type(built.processor.tokenizer) is type(wanted.tokenizer)
    chats = [chat("How do I make this?", 1), chat("hello")]
    inputs = make_inputs(wanted, chats, [[picture(1)], []])
    again = make_inputs(built.processor, chats, [[picture(1)], []])
    assert all(torch.equal(inputs[name], again[name]) for name in inputs)
    given = {"max_new_tokens": 5, "return_dict_in_generate": True, "ecso": SETTINGS}
    output = built.model.generate(**again, **given)
    expected = protect(stock, wanted).generate(**inputs, **given)
    assert torch.equal(output.sequences, expected.sequences)
    assert [trace.outcome for trace in output.ecso_traces] == ["safe", "direct"]


def test_without_trust_no_auto_class_loads_it(folders):
    for auto_class in (
        AutoConfig,
        AutoModel,
        AutoModelForImageTextToText,
        AutoModelForMultimodalLM,
    ):
        with pytest.raises(ValueError, match="custom code"):
            auto_class.from_pretrained(folders[1], trust_remote_code=False)


def test_the_card_has_the_licence_of_the_base_and_names_its_stock_class(folders):
    card = (folders[1] / "README.md").read_text("utf-8")
    assert "\nlicense: gemma\n" in card and "Licence of the weights: `gemma`" in card
    assert "ForConditionalGeneration.from_pretrained" in card and "Llava.from" not in card


def test_weights_that_are_missing_or_left_over_are_an_error(folders, tmp_path):
    model_type = json.loads((folders[1] / "config.json").read_text("utf-8"))["model_type"]
    model_class = family_classes(model_type).model
    folder = shutil.copytree(folders[1], tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    first = min(name for name in tensors if "vision" in name)
    for fault, changed in (
        ("missing", {name: tensors[name] for name in tensors if name != first}),
        ("unexpected", {**tensors, "model.odd.weight": torch.zeros(2)}),
    ):
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ECSOWeightsError, match=f"1 {fault}, such as"):
            model_class.from_pretrained(folder)
        _, report = model_class.from_pretrained(folder, output_loading_info=True)
        assert len(report[f"{fault}_keys"]) == 1


def test_a_model_made_in_memory_saves_no_folder_without_its_code(folders, tmp_path):
    model = load_model(str(folders[1])).model
    with pytest.raises(ECSOInputError, match="make one with `ecso-hub build`"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("name", ["modeling_ecso.py", "configuration_ecso.py"])
def test_verify_starts_no_code_but_what_it_would_write_itself(folders, tmp_path, name):
    folder = shutil.copytree(folders[1], tmp_path / "copy")
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("print()\n")
    checks = {check.name: check for check in verify(folder)}
    assert checks["code"].detail == f"{name} is not that of this package; build again"
    assert "not started" in checks["fresh process"].detail


def test_verify_refuses_a_type_that_loads_unprotected(folders, tmp_path):
    folder = shutil.copytree(folders[1], tmp_path / "copy")
    stored = json.loads((folder / "config.json").read_text("utf-8"))
    stored["model_type"] = stored["model_type"].removeprefix("ecso_")
    (folder / "config.json").write_text(json.dumps(stored), "utf-8")
    checks = {check.name: check for check in verify(folder)}
    assert "with which it would load unprotected" in checks["code"].detail


def test_built_again_it_is_the_same(folders, tmp_path):
    build(recipe_for(str(folders[1])), tmp_path / "again")
    for name in ("config.json", "modeling_ecso.py", "model.safetensors", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("folders", ["llava_next"], indirect=True)
def test_a_strangers_process_loads_it_thin_through_every_auto_class_and_the_pipeline(
    folders, tmp_path
):
    recipe = tmp_path / "thin.yaml"
    text = (TINY_FOLDER.parents[1] / "configuration/recipes/gemma-3-4b.yaml").read_text("utf-8")
    recipe.write_text(text, "utf-8")
    base, out = str(folders[0]), str(tmp_path / "out")
    assert main(["build", str(recipe), "--base", base, "--out", out]) == 0
    checks = verify(tmp_path / "out")
    assert [check.name for check in checks if not check.passed] == []
    seen = {check.name: check.detail for check in checks}
    steps = "direct → detect → caption → safe"
    assert seen["protected generation"] == seen["pipeline"] == steps
    assert seen["weights"] == f"from {folders[0].resolve()}"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "nothing to build; give a RECIPE, --base DIR_OR_ID, or both"),
        (["--base", "no such place"], "neither a folder nor OWNER/NAME"),
        (["custom-generate", "--base", str(TINY_FOLDER)], "is a folder, and the card"),
    ],
)
def test_what_cannot_be_built_is_one_line(command, says, tmp_path, capsys):
    assert main(["build", *command, "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err


def test_models_that_cannot_be_protected_are_not_built(tmp_path):
    base = shutil.copytree(TINY_FOLDER, tmp_path / "base")
    for kind, says in (
        ("bert", "a model of type 'bert'"),
        ("blip-2", "generates in a way of its own"),
        ("gemma3_text", "a model of type 'gemma3_text'"),
    ):
        (base / "config.json").write_text(json.dumps({"model_type": kind}), "utf-8")
        with pytest.raises(ECSOInputError, match=says):
            build(recipe_for(str(base)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
