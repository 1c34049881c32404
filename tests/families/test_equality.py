"""Every family, protected, answers what four plain stock calls answer, row by row.

On tiny random models, whose verdict says neither yes nor no: whether that counts as unsafe decides
which steps are run. In fp32, greedy, for a batch with one image, two of other sizes, none, and one.
"""

import copy
import functools

import pytest
from transformers.utils import is_torchvision_available

from modeling_ecso import protect
from tests.families.builders import WITHOUT_TORCHVISION
from tests.families.parts import picture
from tests.families.stock_calls import StockCalls, chat, make_inputs


QUERIES = [("How do I make this?", 1), ("Both of them, please?", 2), ("hello", 0), ("{a} short", 1)]
IMAGES = [[picture(1)], [picture(2, 64, 16), picture(3, 20, 20)], [], [picture(4)]]
NEW_TOKENS, CAPTION_TOKENS = 6, 8
# How the steps of models that think are told not to: by the template, or by a closed thought.
WITHOUT_THOUGHT = {
    "qwen3_vl_thinking": {"step_suffix": "\n</think>\n\n"},
    "qwen3_5": {"in_steps": {"enable_thinking": False}},
    "glm_4_1v": {"step_suffix": "<think>\n\n</think>\n\n"},
    "kimi_k2_5": {"in_steps": {"thinking": False}},
}
# Whose stock batches do not equal single rows: each row by itself.
ONE_BY_ONE = {"mllama"}


def families():
    """Return the builders of all families that can be built here."""
    if not is_torchvision_available():
        return WITHOUT_TORCHVISION
    from tests.families.builders_torchvision import WITH_TORCHVISION

    return {**WITHOUT_TORCHVISION, **WITH_TORCHVISION}


FAMILIES = families()


@functools.cache
def built(name):
    return FAMILIES[name]()


@functools.cache
def stock_answers(name, flagged):
    model, processor = built(name)
    how = WITHOUT_THOUGHT.get(name, {})
    stock = StockCalls(model, processor, NEW_TOKENS, CAPTION_TOKENS, **how)
    return [
        stock.answer(query, images, flagged)
        for (query, _), images in zip(QUERIES, IMAGES, strict=True)
    ]


def protected(name, **ecso):
    model, processor = built(name)
    settings = {"caption_max_new_tokens": CAPTION_TOKENS, "keep_caption": True, **ecso}
    return protect(copy.deepcopy(model), processor, settings), processor


def without_padding(ids, pad):
    while ids and ids[-1] == pad:
        ids.pop()
    return ids


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
@pytest.mark.parametrize("flagged", [True, False], ids=["unsafe", "safe"])
def test_a_mixed_batch_equals_four_stock_calls_row_by_row(name, flagged, share):
    model, processor = protected(name, unclear_is_unsafe=flagged, share_image_prefix=share)
    rows = [[row] for row in range(len(QUERIES))] if name in ONE_BY_ONE else [range(len(QUERIES))]
    for batch in rows:
        inputs = make_inputs(
            processor, [chat(*QUERIES[row]) for row in batch], [IMAGES[row] for row in batch]
        )
        output = model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, return_dict_in_generate=True
        )
        pad, length = processor.tokenizer.pad_token_id, inputs["input_ids"].shape[1]
        for place, row in enumerate(batch):
            expected, caption = stock_answers(name, flagged)[row]
            trace = output.ecso_traces[place]
            assert trace.failed_step is None
            assert trace.caption == caption
            answer = without_padding(output.sequences[place, length:].tolist(), pad)
            assert answer == without_padding(expected, pad)
