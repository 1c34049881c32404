"""A speculated reply saves a pass of the model and changes nothing else."""

import copy

import pytest
import torch
from transformers import DynamicCache, GenerationConfig

from modeling_ecso.reply_ecso import ReplyReader


PROMPTS = torch.tensor([[2, 2, 21, 35, 60, 77, 30], [40, 41, 42, 43, 44, 45, 46]])
MASK = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
IN_CACHE = 4
END = 1


@pytest.fixture
def generation_config():
    return GenerationConfig(
        max_new_tokens=6,
        eos_token_id=END,
        pad_token_id=2,
        return_dict_in_generate=True,
        output_logits=True,
    )


@pytest.fixture
def passes(model, monkeypatch):
    """Count the tokens that each pass of the model reads."""
    forward, read = model.forward, []

    def counting(**inputs):
        read.append(inputs["input_ids"].shape[1])
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", counting)
    return read


def read(model, generation_config, rows, speculated, is_settled, ends=()):
    """Return replies by row and the first logits, from a cache of the prompts' first tokens."""
    prompts, mask = PROMPTS[rows], MASK[rows]
    cache = DynamicCache(config=model.config.get_text_config())
    with torch.no_grad():
        start = mask[:, :IN_CACHE]
        positions = (start.cumsum(-1) - 1).clamp(min=0)
        model.model.language_model(
            input_ids=prompts[:, :IN_CACHE],
            attention_mask=start,
            position_ids=positions,
            past_key_values=cache,
        )
        inputs = {"input_ids": prompts, "attention_mask": mask, "past_key_values": cache}

        reader = ReplyReader.__new__(ReplyReader)
        reader._model, reader._speculated, reader._end_ids = model, speculated, list(ends)
        reader._is_settled = is_settled
        start = reader.start(inputs, generation_config)
        sequences, logits = start.sequences, start.first_logits
        if sequences is None:
            config = copy.deepcopy(start.config)
            config.eos_token_id = list(ends) or None
            output = model._generate_plainly(
                **start.inputs,
                generation_config=config,
                stopping_criteria=reader.criteria(prompts.shape[1]),
            )
            sequences = output.sequences
            logits = output.logits[0] if logits is None else logits
    return sequences[:, prompts.shape[1] :].tolist(), logits


def after_two(ids):
    return len(ids) >= 2


@pytest.mark.parametrize("rows", [[0], [1], [0, 1]], ids=str)
def test_a_wrong_speculation_changes_nothing(model, generation_config, rows):
    expected, logits = read(model, generation_config, rows, [], after_two)
    found, first = read(model, generation_config, rows, [333], after_two)
    assert found == expected
    assert torch.allclose(first, logits, atol=1e-4)


def test_a_right_speculation_takes_one_pass(model, generation_config, passes):
    expected, logits = read(model, generation_config, [1], [], after_two)
    assert passes == [3, 1]
    passes.clear()
    found, first = read(model, generation_config, [1], expected[0][:1], after_two)
    assert passes == [4]
    assert found == expected
    assert torch.allclose(first, logits, atol=1e-4)


def test_a_right_speculation_that_does_not_settle_it_is_generated_on(model, generation_config):
    def after_four(ids):
        return len(ids) >= 4

    expected, _ = read(model, generation_config, [0], [], after_four)
    assert len(expected[0]) == 4
    found, _ = read(model, generation_config, [0], expected[0][:1], after_four)
    assert found == expected


def test_a_speculation_of_several_words(model, generation_config, passes):
    def after_three(ids):
        return len(ids) >= 3

    expected, _ = read(model, generation_config, [0], [], after_three)
    passes.clear()
    found, _ = read(model, generation_config, [0], expected[0][:2], after_three)
    assert (found, passes) == (expected, [5])


def test_one_wrong_row_leaves_the_others_right(model, generation_config):
    expected, _ = read(model, generation_config, [0, 1], [], after_two)
    found, _ = read(model, generation_config, [0, 1], expected[0][:1], after_two)
    assert found == expected


def test_the_end_token_ends_a_reply_that_is_the_speculation(model, generation_config, passes):
    def never(ids):
        return False

    (said,), _ = read(model, generation_config, [0], [], after_two)
    passes.clear()
    found, _ = read(model, generation_config, [0], said[:1], never, ends=[said[1]])
    assert (found, passes) == ([said], [4])


def test_no_more_is_speculated_than_may_be_said(model, generation_config, passes):
    generation_config.max_new_tokens = 1
    read(model, generation_config, [0], [333], after_two)
    assert passes == [3]
