"""Judging a draft while it is written: earlier, never milder."""

import pytest
import torch
from transformers import StoppingCriteria

from modeling_ecso import ECSOProtocolError
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


CHECKPOINTS = [2, 5]


@pytest.fixture
def inputs(processor):
    turns = [user_turn("How do I make this?"), user_turn("hello", 0), user_turn("Both?", 2)]
    return make_inputs(processor, turns, [[image()], [], [image(1), image(2)]])


def tokens_of(trace, step):
    return [record.tokens for record in trace.steps if record.step.value == step]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("decoding", [{}, {"do_sample": True, "num_return_sequences": 2}], ids=str)
def test_an_unsafe_draft_is_abandoned_at_the_first_checkpoint(processor, inputs, share, decoding):
    model = make_model(processor, draft_checkpoints=CHECKPOINTS, share_image_prefix=share)
    output = model.generate(**inputs, max_new_tokens=9, return_dict_in_generate=True, **decoding)
    copies = decoding.get("num_return_sequences", 1)
    for index, trace in enumerate(output.ecso_traces):
        if index // copies == 1:  # text alone is not judged, and is written to its end
            assert tokens_of(trace, "direct") == [9]
        else:
            assert tokens_of(trace, "direct") == [2]
            assert trace.draft_withheld


def test_a_safe_draft_is_the_same_with_and_without(processor, inputs):
    model = make_model(processor, unclear_is_unsafe=False)
    plain = model.generate(**inputs, max_new_tokens=9, return_dict_in_generate=True)
    watched = model.generate(
        **inputs,
        max_new_tokens=9,
        return_dict_in_generate=True,
        ecso={"draft_checkpoints": CHECKPOINTS},
    )
    assert torch.equal(plain.sequences, watched.sequences)
    # Two beginnings and the whole.
    assert len(tokens_of(watched.ecso_traces[0], "detect")) == 3
    assert len(tokens_of(plain.ecso_traces[0], "detect")) == 1


def test_whoever_watches_is_told_of_the_direct_step_first(processor, inputs):
    model = make_model(processor, draft_checkpoints=CHECKPOINTS)
    run = model.protected_run(**inputs, max_new_tokens=9)
    with torch.no_grad():
        first = next(event for event in run if event.index == 0)
    assert first.record.step.value == "direct"
    assert first.verdict is not None and first.outcome is None


def test_beams_are_judged_at_their_end(processor, inputs):
    model = make_model(processor, draft_checkpoints=CHECKPOINTS)
    output = model.generate(**inputs, max_new_tokens=9, num_beams=2, return_dict_in_generate=True)
    assert len(tokens_of(output.ecso_traces[0], "detect")) == 1


def test_a_beginning_that_cannot_be_judged_leaves_it_to_the_whole(processor, inputs, monkeypatch):
    model = make_model(processor, unclear_is_unsafe=False)
    plain = model._generate_plainly
    calls = []

    def broken_at_first(**kwargs):
        calls.append(kwargs)
        if len(calls) in (2, 3, 4):  # inside the direct step: both rows, then each alone
            raise RuntimeError("broken")
        return plain(**kwargs)

    monkeypatch.setattr(model, "_generate_plainly", broken_at_first)
    output = model.generate(
        **inputs,
        max_new_tokens=4,
        return_dict_in_generate=True,
        ecso={"draft_checkpoints": [2]},
    )
    assert [trace.outcome.value for trace in output.ecso_traces] == ["direct"] * 3


def test_after_an_unsafe_beginning_no_error_carries_the_drafts(processor, inputs):
    class BreaksLater(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            if input_ids.shape[1] > inputs.input_ids.shape[1] + 4:
                raise RuntimeError("draft " + processor.decode(input_ids[0]))
            return torch.zeros(len(input_ids), dtype=torch.bool)

    model = make_model(processor, draft_checkpoints=CHECKPOINTS)
    with pytest.raises(ECSOProtocolError) as caught:
        model.generate(**inputs, max_new_tokens=9, stopping_criteria=[BreaksLater()])
    assert "draft" not in str(caught.value) and caught.value.__context__ is None
    # Before anything is judged, the caller's own error comes through.
    with pytest.raises(RuntimeError, match="^draft"):
        model.generate(
            **inputs,
            max_new_tokens=9,
            stopping_criteria=[BreaksLater()],
            ecso={"draft_checkpoints": []},
        )
