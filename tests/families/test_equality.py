"""Every family, protected, answers what four plain stock calls answer, row by row; fp32, greedy."""

import pytest
import torch

from modeling_ecso import ECSOProcessorError, protect
from tests.families.builders import paligemma
from tests.families.mixed_batch import (
    FAMILIES,
    IMAGES,
    NEW_TOKENS,
    QUERIES,
    ROW_BY_ROW,
    answers_of,
    batch_of,
    built,
    protected,
    stock_answers,
    stock_calls,
    without_padding,
)
from tests.families.stock_calls import PUBLISHED, chat, make_inputs


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
@pytest.mark.parametrize("flagged", [True, False], ids=["unsafe", "safe"])
def test_a_mixed_batch_equals_four_stock_calls_row_by_row(name, flagged, share):
    model, processor = protected(name, unclear_is_unsafe=flagged, share_image_prefix=share)
    answers = answers_of(name, model, processor)
    for (expected, caption), ((answer,), (trace,)) in zip(
        stock_answers(name, flagged), answers, strict=True
    ):
        assert trace.failed_step is None
        assert trace.caption == caption
        assert answer == without_padding(expected, processor)


@pytest.mark.parametrize("name", sorted(ROW_BY_ROW & FAMILIES.keys()))
def test_a_batch_of_which_no_row_stands_alone_has_the_drafts_of_the_stock_batch(name):
    stock, processor = built(name)
    model, _ = protected(name, unclear_is_unsafe=False)
    inputs = batch_of(processor)
    arguments = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
    assert torch.equal(model.generate(**inputs, **arguments), stock.generate(**inputs, **arguments))


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_tell_prompts_and_pictures_apart(name):
    """Otherwise a wrong prompt, or another row's picture, would go unnoticed above."""
    stock, processor = stock_calls(name), built(name)[1]
    seen = [row for row, images in enumerate(IMAGES) if images]
    drafts = [without_padding(ids, processor) for ids, _ in stock_answers(name, False)]
    safe = [without_padding(stock_answers(name, True)[row][0], processor) for row in seen]
    captions = [stock_answers(name, True)[row][1] for row in seen]
    for answers in (drafts, safe, captions):
        assert len({*map(tuple, answers)}) == len(answers)
    assert all(len({*draft}) > 1 for draft in drafts)
    for row in seen:
        blind = stock.ask(QUERIES[row][0], [], stock.max_new_tokens, is_direct=True)[0]
        assert without_padding(blind, processor) != drafts[row]
    query, swapped = QUERIES[1][0], IMAGES[1][::-1]
    draft = stock.ask(query, swapped, stock.max_new_tokens, is_direct=True)[0]
    caption = stock.ask(PUBLISHED["cap"].format(query), swapped, stock.caption_tokens)[1]
    assert (without_padding(draft, processor), caption) != (drafts[1], captions[1])


def test_a_family_that_has_no_chat_template_is_refused():
    with pytest.raises(ECSOProcessorError, match="chat template cannot be used"):
        protect(*paligemma())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_query_is_exactly_the_text_of_the_user(name):
    model, processor = protected(name)
    reader = model._protection().reader()
    text = 'Two\n\nlines,  {braces} and <tags>: "é" \u3042?'
    for images in ([], IMAGES[0], IMAGES[1]):
        inputs = make_inputs(processor, [chat(text, len(images))], [images])
        said = reader.read(inputs["input_ids"][0].tolist())
        assert said.query == text and bool(said.images) == bool(images)
    # A number alone between two images is no part of them, though a line end there may be.
    turn = chat("12", 1)[0]["content"] + chat("two", 1)[0]["content"]
    inputs = make_inputs(processor, [[{"role": "user", "content": turn}]], [IMAGES[1]])
    assert "12" in reader.read(inputs["input_ids"][0].tolist()).query


def test_a_system_turn_that_stands_only_where_no_image_is_opens_the_steps_without_one():
    model, processor = protected("mllama")
    reader = model._protection().reader()
    shown = make_inputs(processor, [chat("How?", 1)], [IMAGES[0]])["input_ids"][0].tolist()
    said = reader.read(shown)
    assert (said.system, said.query) == ("", "How?")
    text = [
        processor.tokenizer.decode(reader.write(said, "Why?", see).ids) for see in (True, False)
    ]
    assert "system" not in text[0] and text[1].count("system<|end_header_id|>") == 1
    assert text[1] == processor.apply_chat_template([chat("Why?")[0]], add_generation_prompt=True)
    # The operator's text is told from the user's as anywhere.
    spoken = [{"role": "system", "content": "Be brief."}, *chat("How?")]
    inputs = make_inputs(processor, [spoken], [[]])["input_ids"][0].tolist()
    trusted = reader.read(inputs, trust_system_text=True)
    assert trusted.system.endswith("Be brief.<|eot_id|>") and trusted.query == "How?"
    assert "Be brief." in reader.read(inputs).query


# What a caller may ask of a template; the first knows no thoughts.
SWITCHES = {
    "llava": {},
    "qwen3_5": {"enable_thinking": False},
    "kimi_k2_5": {"thinking": False},
    "gemma4": {"enable_thinking": True},
}


@pytest.mark.parametrize("name", [name for name in SWITCHES if name in FAMILIES])
def test_steps_do_not_think_whether_the_caller_has_asked_for_it_or_not(name):
    model, processor = protected(name, unclear_is_unsafe=True)
    query = QUERIES[0]
    inputs = make_inputs(processor, [chat(*query)], [IMAGES[0]], **SWITCHES[name])
    output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True)
    (trace,) = output.ecso_traces
    caption = stock_answers(name, True)[0][1]
    safe = stock_calls(name).ask(PUBLISHED["gen"].format(caption, query[0]), [], NEW_TOKENS)[0]
    assert (trace.failed_step, trace.caption) == (None, caption)
    # The prompt opens no thought, so the answer closes none.
    assert output.sequences[0, inputs["input_ids"].shape[1] :].tolist() == safe
