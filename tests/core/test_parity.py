"""Ours against a plain loop of four stock `generate()` calls, token for token."""

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from tests.support.plain_loop import four_calls
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


CONVERSATIONS = [
    ("How do I make this?", 1),
    ("hello", 0),
    ("Two of these, compare them please?", 2),
    ("short", 1),
    ("What is {this}? 🙂 مرحبا", 1),
]
CAPTION_TOKENS = 24


def batch_of(processor, conversations):
    images = [[image(10 * row + i) for i in range(n)] for row, (_, n) in enumerate(conversations)]
    turns = [user_turn(text, n) for text, n in conversations]
    return make_inputs(processor, turns, images), images


def without_padding(ids, pad):
    return [token for token in ids if token != pad]


def answer_tokens(sequence, prompt_length, pad):
    return without_padding(sequence[prompt_length:].tolist(), pad)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flagged", [True, False])
def test_a_mixed_batch_equals_the_plain_loop_row_by_row(processor, seed, flagged):
    # A random model's verdict is neither yes nor no, so the setting decides it.
    model = make_model(
        processor,
        seed,
        caption_max_new_tokens=CAPTION_TOKENS,
        unclear_is_unsafe=flagged,
        keep_caption=True,
    )
    inputs, images = batch_of(processor, CONVERSATIONS)
    output = model.generate(**inputs, max_new_tokens=12, return_dict_in_generate=True)
    pad = processor.tokenizer.pad_token_id
    for row, (query, _) in enumerate(CONVERSATIONS):
        expected, unsafe, caption = four_calls(
            model, processor, query, images[row], lambda _: flagged, 12, (8, CAPTION_TOKENS)
        )
        trace = output.ecso_traces[row]
        answer = answer_tokens(output.sequences[row], inputs.input_ids.shape[1], pad)
        assert answer == without_padding(expected, pad)
        assert (trace.draft_withheld, trace.caption) == (unsafe, caption)


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
def test_a_row_gets_in_a_batch_what_it_gets_alone(processor, preset):
    model = make_model(processor, 1, caption_max_new_tokens=CAPTION_TOKENS)
    changes = {"preset": preset, "caption_max_new_tokens": 16, "detect_max_new_tokens": 4}
    inputs, images = batch_of(processor, CONVERSATIONS)
    together = model.generate(**inputs, max_new_tokens=9, ecso=changes)
    pad = processor.tokenizer.pad_token_id
    for row, (text, n) in enumerate(CONVERSATIONS):
        single = make_inputs(processor, [user_turn(text, n)], [images[row]])
        alone = model.generate(**single, max_new_tokens=9, ecso=changes)[0]
        assert answer_tokens(alone, single.input_ids.shape[1], pad) == answer_tokens(
            together[row], inputs.input_ids.shape[1], pad
        )


def test_only_flagged_rows_run_caption_and_safe(processor, model, monkeypatch):
    inputs, _ = batch_of(processor, CONVERSATIONS)
    model.generate(**inputs, max_new_tokens=2)  # a model's first call tries whether it may share
    sizes = []
    plain = model._generate_plainly

    def counting(**kwargs):
        sizes.append(len(kwargs["input_ids"]))
        return plain(**kwargs)

    monkeypatch.setattr(model, "_generate_plainly", counting)
    model.generate(**inputs, max_new_tokens=6)
    assert sizes == [5, 4, 4, 4]  # the row without an image is not judged
    sizes.clear()
    model.generate(**inputs, max_new_tokens=6, ecso={"unclear_is_unsafe": False})
    assert sizes == [5, 4]


def test_switched_off_it_is_the_parent_token_for_token(processor, model):
    inputs, _ = batch_of(processor, CONVERSATIONS)
    parent = LlavaForConditionalGeneration.generate.__get__(model)
    for settings in ({}, {"do_sample": True}, {"num_beams": 2}):
        torch.manual_seed(3)
        expected = parent(**inputs, max_new_tokens=9, **settings)
        torch.manual_seed(3)
        assert torch.equal(
            model.generate(**inputs, max_new_tokens=9, ecso=False, **settings), expected
        )
        torch.manual_seed(3)
        # Judged safe, the answer is the parent's too, and no random number has been used up.
        safe = model.generate(
            **inputs, max_new_tokens=9, ecso={"unclear_is_unsafe": False}, **settings
        )
        assert torch.equal(safe, expected)
