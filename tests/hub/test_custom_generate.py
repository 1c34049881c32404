"""The `custom_generate` repository protects a stock model of any family, as `protect()` does."""

import copy

import pytest
import torch

from hub_upload.build import build
from hub_upload.recipe import load_recipe
from modeling_ecso import protect
from tests.families.builders import WITHOUT_TORCHVISION
from tests.families.parts import picture
from tests.families.stock_calls import chat, make_inputs


SETTINGS = {"preset": "paper", "caption_max_new_tokens": 8}


@pytest.fixture(scope="module")
def method(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "method"
    build(load_recipe("custom-generate"), folder, "tester/stock@" + "a" * 40)
    return folder


@pytest.mark.parametrize("family", ["gemma3", "idefics3"])
def test_it_answers_as_protect_does(method, family):
    model, processor = WITHOUT_TORCHVISION[family]()
    chats = [chat("How do I make this?", 1), chat("hello")]
    inputs = make_inputs(processor, chats, [[picture(1)], []])
    given = {**inputs, "max_new_tokens": 5, "return_dict_in_generate": True}
    own = {"custom_generate": str(method), "trust_remote_code": True, "processor": processor}
    output = model.generate(**given, **own, ecso=SETTINGS)
    expected = protect(copy.deepcopy(model), processor, SETTINGS).generate(**given)
    assert torch.equal(output.sequences, expected.sequences)
    outcomes = [trace.outcome for trace in output.ecso_traces]
    assert outcomes == [trace.outcome for trace in expected.ecso_traces] == ["safe", "direct"]
    assert "generate" not in vars(model) and not hasattr(model, "protected_run")


def test_it_refuses_what_cannot_be_framed_before_anything_is_answered(method):
    model, processor = WITHOUT_TORCHVISION["gemma3"]()
    inputs = make_inputs(processor, [chat("hello", 1)], [[picture(1)]])
    processor.chat_template = None
    own = {"custom_generate": str(method), "trust_remote_code": True, "processor": processor}
    with pytest.raises(ValueError, match="chat template cannot be used"):
        model.generate(**inputs, **own)
