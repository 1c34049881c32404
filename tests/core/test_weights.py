"""No weight is lost or changed between stock LLaVA checkpoints and ours, in either direction."""

import json

import pytest
import torch
from safetensors import safe_open
from transformers import LlavaConfig

from modeling_ecso import ECSOConfigError, ECSOLlavaForConditionalGeneration
from tests.support.tiny_random import (
    image,
    make_config,
    make_inputs,
    make_model,
    save_stock,
    user_turn,
)


@pytest.fixture(scope="module")
def stock(processor, tmp_path_factory):
    """A folder in the layout of the llava-hf checkpoints, and the model in it."""
    folder = tmp_path_factory.mktemp("stock")
    return folder, save_stock(processor, folder)


def keys_of(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        return set(file.keys())


def assert_same_tensors(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_stock_checkpoint_loads_completely(stock, caplog):
    folder, parent = stock
    assert "language_model.lm_head.weight" in keys_of(folder)
    model, report = ECSOLlavaForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values()), report
    assert_same_tensors(model, parent)
    assert model.config.ecso.preset == "paper"
    assert "instantiate a model of type" not in caplog.text


def test_saved_again_it_is_a_stock_checkpoint(stock, tmp_path):
    folder, parent = stock
    ECSOLlavaForConditionalGeneration.from_pretrained(folder).save_pretrained(tmp_path)
    assert keys_of(tmp_path) == keys_of(folder)
    again, report = ECSOLlavaForConditionalGeneration.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(report.values()), report
    assert_same_tensors(again, parent)


def test_a_stock_folder_answers_protected(stock, processor):
    folder, parent = stock
    model = ECSOLlavaForConditionalGeneration.from_pretrained(folder)
    inputs = make_inputs(processor, [user_turn("How?")], [[image()]])
    output = model.generate(**inputs, max_new_tokens=4, return_dict_in_generate=True)
    assert len(output.ecso_traces) == 1
    plain = model.generate(**inputs, max_new_tokens=4, ecso=False)
    assert torch.equal(plain, parent.generate(**inputs, max_new_tokens=4))


def test_save_load_same_output(processor, tmp_path):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How?")], [[image()]])
    before = model.generate(**inputs, max_new_tokens=6)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert torch.equal(loaded.generate(**inputs, max_new_tokens=6), before)
    stored = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert stored["architectures"] == ["ECSOLlavaForConditionalGeneration"]


@pytest.mark.parametrize("offload", [False, True])
def test_device_map_and_disk_offload(processor, tmp_path, offload):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How?")], [[image()]])
    before = model.generate(**inputs, max_new_tokens=6)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    placement = {"device_map": "auto"}
    if offload:
        placement = {
            "device_map": {
                "model.vision_tower": "cpu",
                "model.multi_modal_projector": "cpu",
                "model.language_model": "disk",
                "lm_head": "cpu",
            },
            "offload_folder": tmp_path / "offload",
        }
    loaded = type(model).from_pretrained(tmp_path, **placement)
    if offload:
        assert "disk" in loaded.hf_device_map.values()
    assert torch.equal(loaded.generate(**inputs, max_new_tokens=6), before)


def test_a_stock_configuration_is_refused_with_a_way_out(processor):
    stock = make_config(processor).to_dict()
    stock.pop("ecso")
    stock.pop("model_type")
    with pytest.raises(ECSOConfigError, match="ECSOLlavaConfig"):
        ECSOLlavaForConditionalGeneration(LlavaConfig(**stock))
