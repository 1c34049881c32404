"""The batch that every family answers, protected; and what four plain stock calls answer to it.

One image, two of other sizes, none, and one. The tiny random models' verdict says neither yes nor
no: whether that counts as unsafe decides which steps are run.
"""

import copy
import functools

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
# What closes the thought that a prompt opens: another answer than the draft begins with it.
CLOSES_THOUGHT = {
    "qwen3_vl_thinking": "\n</think>\n\n",
    "qwen3_5": "\n</think>\n\n",
    "kimi_k2_5": "</think>",
}
# Whose stock batches do not equal single rows, so each row stands by itself.
ROW_BY_ROW = {"mllama"}


def families():
    """Return the builders of all families that can be built here."""
    if not is_torchvision_available():
        return WITHOUT_TORCHVISION
    from tests.families.builders_torchvision import WITH_TORCHVISION

    return {**WITHOUT_TORCHVISION, **WITH_TORCHVISION}


FAMILIES = families()


@functools.cache
def built(name):
    """Return the stock model and the processor of a family; do not change them."""
    return FAMILIES[name]()


def stock_calls(name):
    """Return the reference of a family."""
    model, processor = built(name)
    return StockCalls(model, processor, NEW_TOKENS, CAPTION_TOKENS, **WITHOUT_THOUGHT.get(name, {}))


@functools.cache
def stock_answers(name, flagged):
    """Return (answer ids, caption) of each row of the batch."""
    stock, tokenizer = stock_calls(name), built(name)[1].tokenizer
    closing = tokenizer(CLOSES_THOUGHT.get(name, ""), add_special_tokens=False).input_ids
    answers = []
    for (query, _), images in zip(QUERIES, IMAGES, strict=True):
        ids, caption = stock.answer(query, images, flagged)
        is_draft = caption is None
        answers.append((ids if is_draft else [*closing, *ids][:NEW_TOKENS], caption))
    return answers


def protected(name, **ecso):
    """Return a protected copy of a family's model, and its processor."""
    model, processor = built(name)
    settings = {"caption_max_new_tokens": CAPTION_TOKENS, "keep_caption": True, **ecso}
    return protect(copy.deepcopy(model), processor, settings), processor


def batch_of(processor, rows=None):
    """Return the inputs of some of the rows; None: of all."""
    rows = range(len(QUERIES)) if rows is None else rows
    return make_inputs(processor, [chat(*QUERIES[r]) for r in rows], [IMAGES[r] for r in rows])


def answers_of(name, model, processor, **arguments):
    """Return for each row of the batch the ids of its answers, without padding, and their traces.

    Args:
        name: The family.
        model: Its model, protected.
        processor: Its processor.
        arguments: Of `generate()`.
    """
    rows = range(len(QUERIES))
    answers = []
    for batch in [[row] for row in rows] if name in ROW_BY_ROW else [rows]:
        inputs = batch_of(processor, batch)
        output = model.generate(
            **inputs, **{"max_new_tokens": NEW_TOKENS, "do_sample": False, **arguments},
            return_dict_in_generate=True,
        )  # fmt: skip
        new = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
        ids = [without_padding(each, processor) for each in new]
        copies = len(ids) // len(batch)
        answers += [
            (ids[at : at + copies], output.ecso_traces[at : at + copies])
            for at in range(0, len(ids), copies)
        ]
    return answers


def without_padding(ids, processor):
    """Return ids without the padding behind them."""
    ids = list(ids)
    while ids and ids[-1] == processor.tokenizer.pad_token_id:
        ids.pop()
    return ids
