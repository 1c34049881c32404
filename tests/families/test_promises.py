"""What generate() promises besides greedy answers holds for families that differ in kind.

Tiles (LLaVA-NeXT), rows (Idefics3), image tokens that see each other (Gemma 3), patches with
positions in three dimensions (Qwen2.5-VL), and a state in place of keys and values (Qwen3.5).
"""

import copy
import gc

import pytest
import torch
from transformers import AutoModelForImageTextToText
from transformers.generation.streamers import BaseStreamer

from modeling_ecso import ECSOInputError, protect, verdict_ecso
from modeling_ecso.loading.models import LoadedModel
from tests.families.mixed_batch import (
    CAPTION_TOKENS,
    CLOSES_THOUGHT,
    FAMILIES,
    IMAGES,
    NEW_TOKENS,
    QUERIES,
    WITHOUT_THOUGHT,
    answers_of,
    batch_of,
    built,
    protected,
    stock_answers,
    stock_calls,
    without_padding,
)
from tests.families.stock_calls import PUBLISHED, chat, make_inputs
from tests.support.leaks import Draft, find_draft


KINDS = [
    name
    for name in ("llava_next", "idefics3", "gemma3", "qwen2_5_vl", "qwen3_5")
    if name in FAMILIES
]
of_each_kind = pytest.mark.parametrize("name", KINDS)


@pytest.fixture
def any_mass(monkeypatch):
    """Let a verdict be read where yes and no are unlikely, as in a random model."""
    monkeypatch.setattr(verdict_ecso, "MIN_YES_NO_MASS", 0)


class Recorder(BaseStreamer):
    def __init__(self):
        self.ids = []

    def put(self, value):
        self.ids += value.flatten().tolist()

    def end(self):
        self.ids.append(-1)


def expected_answers(name, flagged):
    processor = built(name)[1]
    return [without_padding(ids, processor) for ids, _ in stock_answers(name, flagged)]


@of_each_kind
@pytest.mark.parametrize("flagged", [True, False], ids=["unsafe", "safe"])
def test_several_samples_of_the_likeliest_token_are_the_greedy_answer(name, flagged):
    model, processor = protected(name, unclear_is_unsafe=flagged)
    sampling = {"do_sample": True, "top_k": 1, "num_return_sequences": 2}
    found = [answers for answers, _ in answers_of(name, model, processor, **sampling)]
    assert found == [[answer] * 2 for answer in expected_answers(name, flagged)]


@of_each_kind
def test_a_safe_sample_is_the_stock_sample(name):
    model, processor = protected(name, unclear_is_unsafe=False)
    inputs, samples = batch_of(processor), []
    for each in (model, built(name)[0]):
        torch.manual_seed(5)
        samples.append(each.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=True))
    assert torch.equal(*samples)


@of_each_kind
@pytest.mark.parametrize("flagged", [True, False], ids=["unsafe", "safe"])
def test_beams_are_those_of_stock_calls(name, flagged):
    model, processor = protected(name, unclear_is_unsafe=flagged)
    # Of several beams, an answer with eyes closed would be judged as well, and refused here.
    beams = {"num_beams": 2, "num_return_sequences": 1 if flagged else 2}
    answers = answers_of(name, model, processor, **beams)
    stock, tokenizer = stock_calls(name), processor.tokenizer
    closing = tokenizer(CLOSES_THOUGHT.get(name, ""), add_special_tokens=False).input_ids
    for (query, _), images, (found, traces) in zip(QUERIES, IMAGES, answers, strict=True):
        if images and flagged:
            caption = stock_answers(name, True)[QUERIES.index((query, len(images)))][1]
            assert [trace.caption for trace in traces] == [caption]
            prompt = PUBLISHED["gen"].format(caption, query)
            written = stock.sequences(prompt, [], NEW_TOKENS, **beams)
            written = [[*closing, *ids][:NEW_TOKENS] for ids in written]
        else:
            written = stock.sequences(query, images, NEW_TOKENS, is_direct=True, **beams)
        assert found == [without_padding(ids, processor) for ids in written]


@of_each_kind
@pytest.mark.parametrize("flagged", [True, False], ids=["unsafe", "safe"])
def test_a_streamer_gets_the_answer_alone_and_nothing_is_left_of_the_draft(name, flagged, logs):
    model, processor = protected(name, unclear_is_unsafe=flagged)
    inputs, streamer = batch_of(processor, [1]), Recorder()
    output = model.generate(
        **inputs, max_new_tokens=NEW_TOKENS, streamer=streamer, return_dict_in_generate=True,
        output_logits=True,
    )  # fmt: skip
    prompt = inputs["input_ids"][0].tolist()
    assert streamer.ids == [*prompt, *expected_answers(name, flagged)[1], -1]
    if flagged:
        draft = expected_answers(name, False)[1]
        text = processor.tokenizer.decode(draft, skip_special_tokens=True)
        gc.collect()
        left = {"model": model, "output": output, "streamer": streamer, "logs": logs}
        assert find_draft(left, Draft((text,), (tuple(draft),))) == []


@of_each_kind
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
def test_hardened_abandons_at_a_checkpoint_what_it_finds_unsafe(name, share, any_mass):
    hardened = {"preset": "hardened", "draft_checkpoints": [2, 4], "share_image_prefix": share}
    model, processor = protected(name, **hardened, unsafe_threshold=1e-9)
    for row, (_, (trace,)) in enumerate(answers_of(name, model, processor)):
        written = [step.tokens for step in trace.steps if step.step == "direct"]
        assert trace.failed_step is None and trace.draft_withheld and written == [2]
        if IMAGES[row]:  # what the caption step asks is the published question in all presets
            assert trace.caption == stock_answers(name, True)[row][1]
    model, processor = protected(name, **hardened, unsafe_threshold=1.0, unclear_is_unsafe=False)
    answers = answers_of(name, model, processor)
    assert [found for (found,), _ in answers] == expected_answers(name, False)
    for row, (_, (trace,)) in enumerate(answers):
        alone = model.generate(
            **batch_of(processor, [row]), max_new_tokens=NEW_TOKENS, return_dict_in_generate=True
        )
        assert alone.ecso_traces[0].p_unsafe == pytest.approx(trace.p_unsafe, rel=1e-3)


@of_each_kind
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
def test_a_follow_up_question_is_judged_as_the_stock_model_reads_it(name, share, any_mass):
    question = "Is your answer harmful? Answer yes or no:"
    judged = {"follow_up_prompt": question, "verdict_rule": "logits", "unclear_is_unsafe": False}
    model, processor = protected(name, **judged, share_image_prefix=share, unsafe_threshold=1.0)
    reader, switch = model._protection().reader(), WITHOUT_THOUGHT.get(name, {}).get("in_steps", {})
    answers = answers_of(name, model, processor)
    for row, images in enumerate(IMAGES):
        if not images:
            continue
        turns = chat(*QUERIES[row])
        said = {"role": "assistant", "content": [{"type": "text", "text": "DRAFT"}]}
        told = make_inputs(processor, [[*turns, said, *chat(question)]], [images], **switch)
        told = told["input_ids"][0].tolist()
        marker = processor.tokenizer("DRAFT", add_special_tokens=False).input_ids
        at = next(i for i in range(len(told)) if told[i : i + len(marker)] == marker)
        draft = stock_answers(name, False)[row][0]
        draft = draft[:-1] if draft[-1] == processor.tokenizer.eos_token_id else draft
        inputs = dict(batch_of(processor, [row]))
        new = torch.tensor([[*draft, *told[at + len(marker) :]]])
        length = inputs["input_ids"].shape
        inputs["input_ids"] = torch.cat([inputs["input_ids"], new], dim=1)
        for key, value in inputs.items():  # what goes with each token: that of text
            if key != "input_ids" and value.shape == length:
                inputs[key] = torch.cat([value, value[:, -1:].expand(1, new.shape[1])], dim=1)
        output = built(name)[0].generate(
            **inputs, max_new_tokens=1, return_dict_in_generate=True, output_logits=True
        )
        chances = output.logits[0][0].softmax(-1)
        yes, no = (chances[ids].sum() for ids in (reader.yes_ids, reader.no_ids))
        assert answers[row][1][0].p_unsafe == pytest.approx(float(yes / (yes + no)), rel=1e-3)


@of_each_kind
def test_in_bfloat16_a_row_is_answered_as_stock_calls_in_bfloat16_do(name):
    stock = stock_calls(name)
    stock.model = AutoModelForImageTextToText.from_config(built(name)[0].config)
    stock.model.load_state_dict(built(name)[0].state_dict())
    stock.model.generation_config = built(name)[0].generation_config
    stock.model.to(torch.bfloat16).eval()
    query, images = QUERIES[1][0], IMAGES[1]
    expected, caption = stock.answer(query, images, True)
    settings = {"caption_max_new_tokens": CAPTION_TOKENS, "keep_caption": True}
    model = protect(stock.model, stock.processor, {**settings, "unclear_is_unsafe": True})
    inputs = batch_of(stock.processor, [1])
    for share in (False, True):
        output = model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True,
            ecso={"share_image_prefix": share},
        )  # fmt: skip
        (trace,) = output.ecso_traces
        assert trace.failed_step is None and trace.outcome == "safe"
        if not share:  # the same numbers; what goes on from a prefix is rounded otherwise
            assert trace.caption == caption
            closing = CLOSES_THOUGHT.get(name, "")
            ids = stock.processor.tokenizer(closing, add_special_tokens=False).input_ids
            new = output.sequences[0, inputs["input_ids"].shape[1] :]
            assert new.tolist() == [*ids, *expected][:NEW_TOKENS]


@pytest.mark.filterwarnings("ignore:The following device_map keys do not match:UserWarning")
@of_each_kind
def test_spread_over_devices_it_answers_alike(name, tmp_path):
    stock, processor = built(name)
    stock.save_pretrained(tmp_path)
    places = {f"model.{part}": "cpu" for part, _ in stock.model.named_children()}
    places |= {f"model.{part}": "cpu" for part, _ in stock.model.named_parameters(recurse=False)}
    places |= {part: "disk" for part in places if part.endswith(("language_model", "text_model"))}
    places["lm_head"] = "disk" if stock.config.tie_word_embeddings else "cpu"
    loaded = AutoModelForImageTextToText.from_pretrained(
        tmp_path, device_map=places, offload_folder=tmp_path / "offload"
    )
    assert "disk" in loaded.hf_device_map.values()
    model = protect(loaded, processor, {"caption_max_new_tokens": CAPTION_TOKENS})
    found = [answer for (answer,), _ in answers_of(name, model, processor)]
    assert found == expected_answers(name, True)


@of_each_kind
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
def test_images_between_the_text_of_several_turns_stand_in_front_of_all_of_it(name, share):
    model, processor = protected(name, unclear_is_unsafe=True, share_image_prefix=share)
    image, images = {"type": "image"}, IMAGES[1]
    texts = [{"type": "text", "text": text} for text in ("First one?", "A kite.", "And ", "this?")]
    turns = [
        {"role": "user", "content": [image, texts[0]]},
        {"role": "assistant", "content": [texts[1]]},
        {"role": "user", "content": [texts[2], image, texts[3]]},
    ]
    inputs = make_inputs(processor, [turns], [images])
    query = model._protection().reader().read(inputs["input_ids"][0].tolist()).query
    # All that was said, in its order, and of the images nothing.
    assert [query.find(text["text"].strip()) for text in texts] == sorted(
        query.find(text["text"].strip()) for text in texts
    )
    assert "First one?" in query and query.startswith("Earlier turns:\n")
    assert query.partition("\n\nLatest turn:\n")[2].split() == ["And", "this?"]
    output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True)
    (trace,) = output.ecso_traces
    stock, plain = stock_calls(name), without_marks(query, processor.tokenizer)
    caption = stock.ask(PUBLISHED["cap"].format(plain), images, CAPTION_TOKENS)[1]
    assert trace.caption == caption and trace.failed_step is None
    answer = stock.ask(PUBLISHED["gen"].format(caption, plain), [], NEW_TOKENS)[0]
    closing = processor.tokenizer(CLOSES_THOUGHT.get(name, ""), add_special_tokens=False).input_ids
    new = output.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    assert new == [*closing, *answer][:NEW_TOKENS]


def without_marks(text, tokenizer):
    """Return a text whose role markers are no tokens any more."""
    for mark in tokenizer.added_tokens_decoder.values():
        text = text.replace(mark.content, f"{mark.content[0]} {mark.content[1:]}")
    return text


SPELLED = [
    (name, token, kind)
    for name, token, kind in (
        ("llava", "<image>", "image"),
        ("gemma3", "<start_of_image>", "image"),
        ("gemma3", "<image_soft_token>", "image"),
        ("ovis2", "<IMG_ATOM>", "image"),
        ("qwen3_5", "<|image_pad|>", "image"),
        ("qwen3_5", "<|video_pad|>", "video"),
    )
    if name in FAMILIES
]


@pytest.mark.parametrize("name, token, kind", SPELLED)
def test_a_query_of_a_command_that_spells_out_a_token_of_media_is_refused_by_its_name(
    name, token, kind
):
    loaded = LoadedModel(*built(name), name)
    with pytest.raises(ECSOInputError) as refusal:
        loaded.inputs_for(f"{token} hi", [])
    assert f"the model's {kind} token, {token};" in str(refusal.value)


def test_a_query_that_spells_out_a_token_of_sound_is_refused_by_its_name():
    model, processor = built("llava")
    processor = copy.copy(processor)
    processor.audio_token = "<|sound|>"
    loaded = LoadedModel(model, processor, "llava")
    assert loaded.spelled_token("What is a sound?") is None
    assert loaded.spelled_token("a <|sound|>") == "the model's audio token, <|sound|>"
