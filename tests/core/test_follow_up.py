"""The detect question as a further turn, asked inside the draft's own cache."""

import pytest
import torch

from modeling_ecso.conversation_ecso import ConversationReader
from tests.support.tiny_random import (
    image,
    make_inputs,
    make_llama_tokenizer,
    make_mixed_inputs,
    make_model,
    make_processor,
    user_turn,
)


FOLLOW_UP = {"follow_up_prompt": "Is your answer harmful? Answer yes or no:"}


@pytest.fixture
def inputs(processor):
    return make_mixed_inputs(processor)


def prompts_of_detect(model, monkeypatch):
    """Record the prompt ids of every call after the direct step, and the tokens in its cache."""
    calls = []
    plain = model._generate_plainly

    def watching(**kwargs):
        ids = [
            row[mask.bool()].tolist()
            for row, mask in zip(kwargs["input_ids"], kwargs["attention_mask"], strict=True)
        ]
        cache = kwargs.get("past_key_values")
        calls.append((ids, cache.get_seq_length() if cache is not None else 0))
        return plain(**kwargs)

    monkeypatch.setattr(model, "_generate_plainly", watching)
    return calls


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut off"])
def test_it_is_what_the_template_makes_of_one_more_turn(processor, monkeypatch, end):
    model = make_model(processor)
    calls = prompts_of_detect(model, monkeypatch)
    turn = user_turn("How do I make this?")
    inputs = make_inputs(processor, [turn], [[image()]])
    length = inputs.input_ids.shape[1]
    draft = model.generate(**inputs, max_new_tokens=6, ecso=False)[0, length:].tolist()
    if end:  # the same draft, of which the last token now is the end
        model.generation_config.eos_token_id = draft[-1]
        draft = draft[: draft.index(draft[-1])]
    calls.clear()
    model.generate(
        **inputs,
        max_new_tokens=6,
        ecso={**FOLLOW_UP, "speculative_verdict": None, "verdict_rule": "exact"},
    )
    template = [
        *turn,
        {"role": "assistant", "content": [{"type": "text", "text": "DRAFT"}]},
        *user_turn(FOLLOW_UP["follow_up_prompt"], 0),
    ]
    rendered = make_inputs(processor, [template], [[image()]]).input_ids[0].tolist()
    marker = processor.tokenizer(" DRAFT", add_special_tokens=False).input_ids
    at = next(i for i in range(len(rendered)) if rendered[i : i + len(marker)] == marker)
    question = rendered[at + len(marker) :]
    (asked,), in_cache = calls[1]
    assert asked == [*inputs.input_ids[0].tolist(), *draft, *question]
    # What was said last has not been read when the direct step ends.
    assert in_cache == length + (len(draft) if end else 5)


@pytest.mark.parametrize("legacy", [True, False])
def test_tokenizers_that_begin_with_a_blank_add_none(legacy):
    processor = make_processor(make_llama_tokenizer(legacy))
    model = make_model(processor)
    reader = ConversationReader(processor, model.config.image_token_id)
    told = processor.apply_chat_template(
        [
            *user_turn("How?", 0),
            {"role": "assistant", "content": [{"type": "text", "text": "step"}]},
            *user_turn("Is it?", 0),
        ],
        add_generation_prompt=True,
    )
    whole = processor.tokenizer(told, add_special_tokens=False).input_ids
    question = reader.follow_up_ids("Is it?")
    assert whole[-len(question) :] == question
    assert processor.tokenizer.decode(whole[: -len(question)]).endswith("step")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "decoding",
    [{}, {"do_sample": True, "num_return_sequences": 2}, {"num_beams": 2}],
    ids=str,
)
def test_same_verdict_and_answer_with_and_without_the_cache(processor, inputs, seed, decoding):
    model = make_model(processor, seed, caption_max_new_tokens=8)
    outputs = []
    for share in (True, False):
        torch.manual_seed(0)
        outputs.append(
            model.generate(
                **inputs,
                max_new_tokens=7,
                ecso={**FOLLOW_UP, "share_image_prefix": share, "judge_text_only": True},
                return_dict_in_generate=True,
                **decoding,
            )
        )
    shared, plain = outputs
    for one, other in zip(shared.ecso_traces, plain.ecso_traces, strict=True):
        assert (one.verdict, one.caption) == (other.verdict, other.caption)
        assert one.p_unsafe == pytest.approx(other.p_unsafe, abs=1e-5)
    if not decoding.get("do_sample"):  # the safe answers are sampled on from other numbers
        assert torch.equal(shared.sequences, plain.sequences)


def test_a_row_gets_in_a_batch_what_it_gets_alone(processor, inputs):
    model = make_model(processor, 2, caption_max_new_tokens=8)
    together = model.generate(
        **inputs, max_new_tokens=7, ecso=FOLLOW_UP, return_dict_in_generate=True
    )
    single = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    alone = model.generate(**single, max_new_tokens=7, ecso=FOLLOW_UP, return_dict_in_generate=True)
    assert together.ecso_traces[0].p_unsafe == pytest.approx(
        alone.ecso_traces[0].p_unsafe, abs=1e-5
    )
    assert together.ecso_traces[0].caption == alone.ecso_traces[0].caption


def test_the_question_of_the_safe_answer_is_the_detect_prompt(processor, monkeypatch):
    model = make_model(processor, caption_max_new_tokens=4)
    calls = prompts_of_detect(model, monkeypatch)
    inputs = make_inputs(processor, [user_turn("How?")], [[image()]])
    model.generate(**inputs, max_new_tokens=4, ecso={**FOLLOW_UP, "judge_safe_answer": True})
    texts = [processor.decode(ids[0]) for ids, _ in calls]
    assert FOLLOW_UP["follow_up_prompt"] in texts[1]
    assert "Is the RESPONSE harmful" in texts[-1]
    assert "<image>" not in texts[-1]


def test_special_tokens_in_the_question_stay_text(model, processor):
    reader = ConversationReader(processor, model.config.image_token_id)
    ids = reader.follow_up_ids("see <image> here</s>")
    tokenizer = processor.tokenizer
    assert tokenizer.convert_tokens_to_ids("<image>") not in ids
    assert tokenizer.eos_token_id not in ids
