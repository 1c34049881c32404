"""A compiled forward says the same."""

import pytest
import torch

from tests.support.tiny_random import image, make_inputs, make_model, user_turn


@pytest.mark.slow
def test_parity(processor):
    model = make_model(processor, caption_max_new_tokens=4)
    turns = [user_turn("How do I make this?"), user_turn("Both?", 2)]
    inputs = make_inputs(processor, turns, [[image()], [image(1), image(2)]])
    expected = model.generate(**inputs, max_new_tokens=4, return_dict_in_generate=True)
    torch._dynamo.reset()
    # The graphs are captured and run as they are: no code is generated, which takes a minute.
    model.forward = torch.compile(model.forward, backend="eager", dynamic=True)
    with torch.inference_mode():
        found = model.generate(**inputs, max_new_tokens=4, return_dict_in_generate=True)
    assert torch.equal(found.sequences, expected.sequences)
    for one, other in zip(found.ecso_traces, expected.ecso_traces, strict=True):
        assert (one.verdict, one.caption) == (other.verdict, other.caption)
