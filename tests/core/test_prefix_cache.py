"""The shared image prefix changes the cost and nothing else."""

import logging

import pytest
import torch
from transformers import DynamicCache

from modeling_ecso.prefix_cache_ecso import PrefixCache, shared_prefix
from modeling_ecso.vision_ecso import ImageBlock
from tests.support.tiny_random import image, make_inputs, make_mixed_inputs, make_model, user_turn


IMAGE, CLOSING = 9, 8


@pytest.fixture
def inputs(processor):
    return make_mixed_inputs(processor)


def watch(model, monkeypatch):
    """Record which calls got images and which got a filled cache."""
    calls = []
    plain = model._generate_plainly

    def watching(**kwargs):
        cache = kwargs.get("past_key_values")
        has_images = bool({"mm_encoder_outputs", "pixel_values"} & kwargs.keys())
        calls.append((has_images, None if cache is None else cache.get_seq_length()))
        return plain(**kwargs)

    monkeypatch.setattr(model, "_generate_plainly", watching)
    return calls


def test_the_images_are_encoded_once(model, inputs, monkeypatch):
    model.generate(**inputs, max_new_tokens=2)  # a model's first call tries whether it may share
    encoded = []
    hook = model.model.vision_tower.register_forward_hook(lambda *_: encoded.append(1))
    calls = watch(model, monkeypatch)
    model.generate(**inputs, max_new_tokens=4, ecso={"speculative_verdict": None})
    assert len(encoded) == 1
    # direct; detect and caption from the longest prefix (1 + 3 + 4 + 1 + 4 ids); safe, blind
    assert calls == [(True, 0), (False, 13), (False, 13), (False, None)]
    model.generate(**inputs, max_new_tokens=4)
    assert len(encoded) == 2
    hook.remove()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("decoding", [{}, {"num_beams": 3, "num_return_sequences": 2}], ids=str)
def test_same_tokens_with_and_without(processor, inputs, seed, attention, decoding):
    model = make_model(processor, seed, caption_max_new_tokens=16)
    model.set_attn_implementation(attention)
    outputs = [
        model.generate(
            **inputs,
            max_new_tokens=7,
            ecso={"share_image_prefix": share},
            return_dict_in_generate=True,
            **decoding,
        )
        for share in (True, False)
    ]
    assert torch.equal(outputs[0].sequences, outputs[1].sequences)
    for shared, plain in zip(outputs[0].ecso_traces, outputs[1].ecso_traces, strict=True):
        assert shared.caption == plain.caption
        assert shared.verdict == plain.verdict
        assert shared.p_unsafe == pytest.approx(plain.p_unsafe, abs=1e-5)


def test_logits_agree(model, inputs, monkeypatch):
    model.generate(**inputs, max_new_tokens=1)  # the first call tries sharing on logits of its own
    logits = []
    plain = model._generate_plainly

    def keeping(**kwargs):
        output = plain(**kwargs)
        if getattr(kwargs.get("generation_config"), "output_logits", None):
            logits.append(output.logits[0])
        return output

    monkeypatch.setattr(model, "_generate_plainly", keeping)
    for share in (True, False):
        changes = {"share_image_prefix": share, "speculative_verdict": None}
        model.generate(**inputs, max_new_tokens=4, ecso=changes)
    assert torch.allclose(*logits, atol=1e-4)


def test_windows_of_a_long_draft_share_it_too(processor, inputs):
    model = make_model(processor, caption_max_new_tokens=8)
    small = {"window_overlap_chars": 2, "window_chars": 7}
    answers = [
        model.generate(**inputs, max_new_tokens=24, ecso={**small, "share_image_prefix": share})
        for share in (True, False)
    ]
    assert torch.equal(*answers)


@pytest.mark.parametrize(
    "decoding",
    [
        {"cache_implementation": "static"},
        {"use_cache": False},
        {"assistant_model": True},
    ],
    ids=str,
)
def test_other_caches_take_the_plain_path(model, processor, monkeypatch, caplog, decoding):
    single = make_inputs(processor, [user_turn("How?")], [[image()]])
    expected = model.generate(**single, max_new_tokens=5)
    if "assistant_model" in decoding:
        decoding = {"assistant_model": make_model(processor, 4)}
    calls = watch(model, monkeypatch)
    with caplog.at_level(logging.DEBUG, logger="modeling_ecso.inputs_ecso"):
        answer = model.generate(**single, max_new_tokens=5, **decoding)
    assert torch.equal(answer, expected)
    assert [images for images, _ in calls] == [True, True, True, False]
    assert caplog.text.count("shares no image prefix") == 1


def test_without_a_image_nothing_is_kept(model, processor, monkeypatch):
    inputs = make_inputs(processor, [user_turn("How?", 0)], [[]])
    calls = watch(model, monkeypatch)
    model.generate(**inputs, max_new_tokens=3, ecso={"judge_text_only": True})
    assert [cached for _, cached in calls] == [None, None, None]


def test_padding_in_odd_places_takes_the_plain_path(model, processor, monkeypatch):
    single = make_inputs(processor, [user_turn("How?")], [[image()]])
    pad = torch.tensor([[processor.tokenizer.pad_token_id]])
    single["input_ids"] = torch.cat([single.input_ids, pad], dim=1)
    single["attention_mask"] = torch.cat([single.attention_mask, torch.tensor([[0]])], dim=1)
    calls = watch(model, monkeypatch)
    model.generate(**single, max_new_tokens=3)
    assert calls[1][0] is True


def test_images_in_different_turns_take_the_plain_path(model, processor, monkeypatch):
    turns = [
        *user_turn("What is it?"),
        {"role": "assistant", "content": [{"type": "text", "text": "A kite."}]},
        *user_turn("And this?"),
    ]
    inputs = make_inputs(processor, [turns], [[image(), image(1)]])
    calls = watch(model, monkeypatch)
    model.generate(**inputs, max_new_tokens=3)
    assert [images for images, _ in calls] == [True, True, True, False]


def test_shared_prefix():
    pictures = (
        ImageBlock(1, 2, [IMAGE], [IMAGE]),
        ImageBlock(3, 5, [IMAGE, CLOSING], [IMAGE, CLOSING]),
    )
    prompt = [1, IMAGE, 5, IMAGE, CLOSING, 6]
    assert shared_prefix(prompt, [*prompt[:5], 7], pictures) == prompt[:5]
    assert shared_prefix(prompt, [*prompt[:4], 7], pictures) == []
    assert shared_prefix(prompt, [2, *prompt[1:]], pictures) == []
    assert shared_prefix([1, 5], [1, 5], ()) == []


def test_the_cut_keeps_prefixes_and_nothing_else():
    cache = DynamicCache()
    prefixes = PrefixCache(cache, [[1, 1], [1, 1, 1]], [2, 0], copies=2)
    assert not prefixes.is_usable
    # Two rows of two copies, 2 heads, 6 positions; the value of a key is its position.
    states = torch.arange(6.0).view(1, 1, 6, 1).repeat(4, 2, 1, 3)
    cache.update(states.clone(), states.clone(), 0)
    assert prefixes.is_usable
    for _ in range(2):  # while the draft is written, and after
        kept = prefixes.for_rows([0, 1], is_written=False).layers[0].keys
        assert kept.shape == (2, 2, 3, 3)
        assert kept[:, 0, :, 0].tolist() == [[0.0, 2.0, 3.0], [0.0, 1.0, 2.0]]
        twice = prefixes.for_rows([1, 1], is_written=False).layers[0].values
        assert twice[:, 0, :, 0].tolist() == [[0.0, 1.0, 2.0]] * 2
        prefixes.for_rows([0], is_written=True)
    assert cache.layers[0].keys.shape == (2, 2, 3, 3)
    selected = prefixes.for_rows([0, 1], is_written=True)
    selected.update(torch.ones(2, 2, 1, 3), torch.ones(2, 2, 1, 3), 0)
    assert selected.get_seq_length() == 4
    again = prefixes.for_rows([0, 1], is_written=True)
    assert again is selected, "all rows are handed out, not copied"
    assert again.get_seq_length() == 3
    assert again.layers[0].keys[:, 0, :, 0].tolist() == [[0.0, 2.0, 3.0], [0.0, 1.0, 2.0]]


def test_a_step_that_breaks_leaves_the_prefixes_whole(processor, inputs, monkeypatch):
    model = make_model(processor, caption_max_new_tokens=4)
    expected = model.generate(**inputs, max_new_tokens=4)
    layer = model.model.language_model.layers[1]
    forward, calls = layer.forward, []

    def breaks_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:  # the first pass of the detect step: layer 0 has grown already
            raise RuntimeError("broken")
        return forward(*args, **kwargs)

    monkeypatch.setattr(layer, "forward", breaks_once)
    # Asked again row by row, every row gets its verdict and the answers are the same.
    assert torch.equal(model.generate(**inputs, max_new_tokens=4), expected)
    assert len(calls) > 5
