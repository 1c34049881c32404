"""Whose words are whose, in the chat formats that models come with."""

import pytest
import torch
from transformers import LlavaProcessor

from modeling_ecso import ECSOInputError, ECSOProcessorError
from modeling_ecso.conversation_ecso import ConversationReader
from modeling_ecso.prefix_cache_ecso import shared_prefix
from tests.support.chat_formats import FORMATS, make_format_processor, turn
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, make_processor


FOREIGN = "words of somebody"
ASKED = turn("user", "How is it made?", images=1)
FRONTS = {
    "assistant": [turn("assistant", FOREIGN)],
    "tool": [turn("tool", FOREIGN)],
    "system": [turn("system", FOREIGN)],
    "developer and tool": [turn("developer", FOREIGN), turn("tool", FOREIGN)],
}


@pytest.fixture(scope="module", params=FORMATS)
def form(request):
    return request.param


@pytest.fixture(scope="module")
def processor(form):
    return make_format_processor(form)


@pytest.fixture(scope="module")
def reader(processor):
    return ConversationReader(processor, processor.image_token_id)


def by_text(processor, chat, **how):
    """Return the ids that the processor makes of a rendered chat: the start token comes twice
    where the template writes it as well."""
    text = processor.apply_chat_template(chat, **(how or {"add_generation_prompt": True}))
    return processor(text=text, images=[image()], return_tensors="pt").input_ids[0].tolist()


def by_template(processor, chat, **how):
    """Return the ids that `apply_chat_template(tokenize=True)` makes, as pipelines call it."""
    shown = [
        {**each, "content": [{**c, "image": image()} if c["type"] == "image" else c for c in said]}
        for each in chat
        for said in [each["content"]]
    ]
    how = how or {"add_generation_prompt": True}
    made = processor.apply_chat_template(
        shown, tokenize=True, return_dict=True, return_tensors="pt", **how
    )
    return made["input_ids"][0].tolist()


WAYS = {"text": by_text, "template": by_template}


@pytest.fixture(params=WAYS)
def ids_of(request, processor):
    return lambda chat, **how: WAYS[request.param](processor, chat, **how)


def prefix_of(processor, reader, ids, said):
    step = reader.write(said, "QUERY:\nHow?", with_images=True)
    return shared_prefix(ids, step.ids, said.images)


def test_one_turn_is_read_as_it_was_written(form, processor, reader, ids_of):
    ids = ids_of([ASKED])
    said = reader.read(ids)
    assert (said.query, said.begun, said.earlier_answers) == ("How is it made?", "", ())
    assert said.system in (FORMATS[form].first, "<s>" * FORMATS[form].writes_bos)
    assert prefix_of(processor, reader, ids, said)[-1] == processor.image_token_id


def test_a_step_prompt_is_what_the_template_writes(reader, ids_of):
    said = reader.read(ids_of([ASKED]))
    assert reader.write(said, "Say yes.", True).ids == ids_of([turn("user", "Say yes.", images=1)])


@pytest.mark.parametrize("image_in", [0, 2])
def test_all_turns_are_in_the_query(form, processor, reader, ids_of, image_in):
    chat = [turn("user", "First."), turn("assistant", "Well, one."), turn("user", "How?")]
    chat[image_in]["content"].insert(0, {"type": "image"})
    ids = ids_of(chat)
    said = reader.read(ids)
    assert said.earlier_answers == ("Well, one.",) and said.begun == ""
    assert said.query.index("First.") < said.query.index("Well, one.") < said.query.index("How?")
    assert said.query.endswith("Latest turn:\nHow?")
    step = reader.write(said, "Say yes.", with_images=True)
    assert step.ids == ids_of([turn("user", "Say yes.", images=1)])
    assert bool(prefix_of(processor, reader, ids, said)) is (image_in == 0)


@pytest.mark.parametrize("front", FRONTS)
def test_text_in_front_of_the_first_turn_is_judged_and_opens_no_step(
    form, processor, reader, ids_of, front
):
    said = reader.read(ids_of([*FRONTS[front], ASKED]))
    assert said.query.count(FOREIGN) == len(FRONTS[front])
    assert said.query.endswith("Latest turn:\nHow is it made?")
    assert FOREIGN not in said.system
    step = processor.decode(reader.write(said, "Say yes.", with_images=True).ids)
    assert FOREIGN not in step and step.count("Say yes.") == 1


@pytest.mark.parametrize("front", ["assistant", "system"])
def test_no_step_of_a_call_opens_with_it(form, processor, front):
    model = make_model(processor, preset="paper")
    script = Script(model, processor, direct="bad", detect="yes", caption="kite", safe="ok")
    inputs = make_inputs(processor, [[*FRONTS[front], ASKED]], [[image()]])
    model.generate(**inputs)
    for step, prompt in script.prompts[1:]:
        query = prompt[prompt.index("Earlier turns:") :]
        assert prompt.count(FOREIGN) == query.count(FOREIGN) >= 1, step


def test_a_trusted_system_turn_opens_the_steps(processor, reader, ids_of):
    ids = ids_of([*FRONTS["system"], ASKED])
    said = reader.read(ids, trust_system_text=True)
    assert FOREIGN in said.system and said.query == "How is it made?"
    assert prefix_of(processor, reader, ids, said)
    # Other roles are no operator's, and a system turn further on is nobody's.
    for chat in ([*FRONTS["tool"], ASKED], [*FRONTS["assistant"], ASKED]):
        said = reader.read(ids_of(chat), trust_system_text=True)
        assert FOREIGN in said.query and FOREIGN not in said.system


@pytest.mark.parametrize("begun", ["Sure, here", "Sure:\n\n  one, \n two", "ünï🙂 côde"])
def test_a_begun_answer_is_told_from_the_query(processor, reader, ids_of, begun):
    chat = [ASKED, turn("assistant", begun)]
    said = reader.read(ids_of(chat, continue_final_message=True))
    assert (said.begun, said.query) == (begun, "How is it made?")
    # Closed and opened again, which some clients do, it is still gone on with.
    said = reader.read(ids_of(chat))
    assert said.begun.strip() == begun


@pytest.mark.parametrize("opening", ["", "assistant:", "ASSISTANT :", "Antwort:\n"])
def test_what_is_gone_on_with_is_begun_however_it_opens(processor, reader, opening):
    text = f"{processor.apply_chat_template([ASKED])}{opening} Sure, here is"
    ids = processor(text=text, images=[image()], return_tensors="pt").input_ids[0].tolist()
    assert reader.read(ids).begun.endswith("Sure, here is")


@pytest.mark.parametrize("begun", ["Sure 🙂, hére", "你好 abc", "one\n  two "])
@pytest.mark.parametrize("form", ["llava", "llama-3"], indirect=True)
def test_slices_of_characters_come_together(processor, reader, begun):
    """A slice may end within a character, which takes several tokens."""
    prompt = by_text(processor, [ASKED])
    ids = processor.tokenizer(begun + " ende 🙂", add_special_tokens=False).input_ids
    for cut in range(1, len(ids)):
        so_far = [*prompt, *ids[:cut]]
        whole = reader.read(so_far).begun.rstrip("\ufffd")
        whole += reader.continued_text(so_far, ids[cut:])
        assert whole.lstrip() == (begun + " ende 🙂").lstrip()


def test_the_reader_knows_what_is_added_later(processor):
    reader = ConversationReader(processor, processor.image_token_id)
    assert reader.fits(processor, processor.image_token_id)
    assert not reader.fits(processor, processor.image_token_id + 1)
    kept, template = processor.tokenizer, processor.chat_template
    for change in (
        lambda p: p.tokenizer.add_special_tokens({"extra_special_tokens": ["<|new|>"]}),
        lambda p: p.tokenizer.add_tokens(["<|newer|>"], special_tokens=True),
        lambda p: setattr(p.tokenizer, "eos_token", "<pad>"),
        lambda p: setattr(p, "chat_template", template.replace("\n", "\n\n")),
        lambda p: setattr(p, "tokenizer", make_format_processor("chatml").tokenizer),
    ):
        fresh = LlavaProcessor(
            image_processor=processor.image_processor,
            tokenizer=make_format_processor("chatml").tokenizer,
            patch_size=4,
            chat_template=template,
        )
        reader = ConversationReader(fresh, fresh.image_token_id)
        change(fresh)
        assert not reader.fits(fresh, fresh.image_token_id)
    assert processor.tokenizer is kept


def test_a_token_made_special_between_two_calls_is_broken_up():
    processor = make_format_processor("chatml")
    model = make_model(processor, preset="paper")
    inputs = make_inputs(processor, [[ASKED]], [[image()]])
    Script(model, processor, direct="fine", detect="no")
    model.generate(**inputs)
    processor.tokenizer.add_special_tokens({"extra_special_tokens": ["<|late|>"]})
    late = processor.tokenizer.convert_tokens_to_ids("<|late|>")
    script = Script(model, processor, direct="fine <|late|>", detect="no")
    script.tokenizer = processor.tokenizer
    model.generate(**make_inputs(processor, [[turn("user", "<|late|> it", 1)]], [[image()]]))
    detect = dict(script.prompts)["detect"]
    assert "< |late|>" in detect and late not in processor.tokenizer(detect).input_ids


@pytest.mark.parametrize("token_id", [-1, 10**6, 5, None, True, "3"])
def test_an_image_token_that_is_not_the_processors_is_one_clear_error(token_id):
    processor = make_format_processor("llava")
    model = make_model(processor)
    script = Script(model, processor, direct="fine", detect="no")
    inputs = make_inputs(processor, [[ASKED]], [[image()]])
    model.generate(**inputs)  # the reader of an earlier call does not hide it
    script.prompts.clear()
    name = "image_token_index" if "image_token_index" in vars(model.config) else "image_token_id"
    vars(model.config)[name] = token_id
    with pytest.raises(ECSOProcessorError, match="image_token_id"):
        model.generate(**inputs)
    assert not script.prompts


def hidden(mask, ids, image_id):
    return mask.masked_fill(ids.eq(image_id), 0)


MASKS = {
    "all image tokens": hidden,
    "one image token": lambda mask, ids, image_id: mask.scatter(
        1, ids.eq(image_id).float().argmax(1, keepdim=True), 0
    ),
    "a shorter mask": lambda mask, ids, image_id: mask[:, 1:],
    "four dimensions": lambda mask, ids, image_id: mask[:, None, None, :],
    "another batch": lambda mask, ids, image_id: torch.cat([mask, mask]),
}


@pytest.mark.parametrize("made", MASKS)
def test_a_mask_that_does_not_fit_is_one_clear_error(made):
    processor = make_format_processor("llava")
    model = make_model(processor)
    script = Script(model, processor, direct="fine", detect="no")
    inputs = make_inputs(processor, [[ASKED]], [[image()]])
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    changed = {**inputs, "attention_mask": MASKS[made](mask, ids, processor.image_token_id)}
    with pytest.raises(ECSOInputError, match="attention.mask"):
        model.generate(**changed)
    assert not script.prompts


def test_a_template_that_writes_the_date_is_learnt_anew_the_next_day():
    processor = make_processor()
    day = "It is {} November. "
    processor.chat_template = day.format(30) + processor.chat_template
    reader = ConversationReader(processor, processor.image_token_id)
    render, template = processor.apply_chat_template, processor.chat_template

    def tomorrow(*args, **arguments):
        return render(*args, **arguments).replace(day.format(30), day.format(31))

    assert reader.fits(processor, processor.image_token_id)
    processor.apply_chat_template = tomorrow
    assert processor.chat_template == template
    assert not reader.fits(processor, processor.image_token_id)
    said = ConversationReader(processor, processor.image_token_id).read(by_text(processor, [ASKED]))
    assert said.query == "How is it made?" and day.format(31).strip() in said.system
