"""What cannot be framed is refused in one sentence before the draft; nothing is misframed."""

import pytest
import torch

from modeling_ecso import ECSOInputError, ECSOProcessorError, protect
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, make_processor, user_turn


# Leaves images out.
BLIND = (
    "{% for m in messages %}{{ m.role }}: {{ m.content[-1].text }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
FRAMES = torch.zeros(1, 2, 3, 8, 8)
# What a processor might give beside text and images, or in their place.
OTHER_SENSES = {
    "pixel_values_videos": FRAMES,
    "video_grid_thw": torch.tensor([[2, 2, 2]]),
    "pixel_values_videos as a list": [FRAMES.numpy()],
    "input_features": torch.zeros(1, 80, 30),
    "audio_values": torch.zeros(1, 16000),
    "input_audio_embeds": torch.zeros(1, 4, 8),
}


def asked(processor):
    turns = [user_turn("How do I make this?"), user_turn("Both?", 2)]
    return make_inputs(processor, turns, [[image(1)], [image(2), image(3)]])


def refused(model, processor, inputs, error=ECSOInputError):
    """Return the sentence; nothing must have been asked of the model."""
    script = Script(model, processor)
    with pytest.raises(error) as raised:
        model.generate(**inputs, max_new_tokens=3)
    assert script.prompts == []
    message = str(raised.value)
    assert "\n" not in message and not message.endswith(".")
    return message


@pytest.mark.parametrize("what", OTHER_SENSES)
def test_video_and_sound_are_refused(processor, what):
    name = what.partition(" ")[0]
    inputs = {**asked(processor), name: OTHER_SENSES[what]}
    said = refused(make_model(processor), processor, inputs)
    assert said.startswith(f"{name} is neither text nor image")


def test_a_switch_that_is_about_sound_is_none(processor, model):
    inputs = {**asked(processor), "use_audio_in_video": False}
    with pytest.raises(ValueError, match="not used by the model"):  # by transformers
        model.generate(**inputs, max_new_tokens=3)


def shifted(ids, token):
    """Move one image token from the second row to the first."""
    ids = ids.clone()
    ids[0, -1], ids[1, ids[1].eq(token).nonzero()[0]] = token, 5
    return ids


@pytest.mark.parametrize("which", ["too few", "too many", "none", "no tokens", "another row's"])
def test_images_that_do_not_come_out_by_row_are_refused(processor, which):
    inputs, token = dict(asked(processor)), processor.image_token_id
    pixels, ids = inputs["pixel_values"], inputs["input_ids"]
    inputs |= {
        "too few": {"pixel_values": pixels[:2]},
        "too many": {"pixel_values": torch.cat([pixels, pixels[:1]])},
        "none": {"pixel_values": None},
        "no tokens": {"input_ids": ids.masked_fill(ids.eq(token), 5)},
        "another row's": {"input_ids": shifted(ids, token)},
    }[which]
    said = refused(make_model(processor), processor, inputs)
    assert "image tokens do not fit" in said or "there are no pixel_values" in said


@pytest.mark.parametrize(
    "template, why",
    [
        (None, "chat template cannot be used"),
        ("{{ 'always the same' }}", "does not render user texts and answers"),
        (BLIND, "cannot be framed"),
    ],
)
def test_a_template_that_cannot_be_read_or_shows_no_images_is_refused(template, why):
    processor = make_processor()
    inputs, model = asked(processor), make_model(processor)
    processor.chat_template = template
    assert why in refused(model, processor, inputs, ECSOProcessorError)


@pytest.mark.parametrize(
    "opening",
    [
        "{% for c in messages[0].content if c.type == 'image' %}<image>{% else %}Ask: {% endfor %}",
        "{{ messages[0].content | selectattr('type', 'eq', 'image') | list | count }} here: ",
    ],
    ids=["images in front of the turn", "images counted in front of it"],
)
def test_a_template_whose_opening_depends_on_images_otherwise_is_refused(opening):
    processor = make_processor()
    inputs, model = asked(processor), make_model(processor)
    plain = processor.chat_template.replace("<image>", "") if "<" in opening else None
    processor.chat_template = opening + (plain or processor.chat_template)
    assert "cannot be framed" in refused(model, processor, inputs, ECSOProcessorError)


def test_a_model_that_names_no_image_token_or_another_one_is_refused(processor):
    inputs = asked(processor)
    for token, why in ((None, "names no image token"), (7, "not the image token of the")):
        model = make_model(processor)
        model.config.image_token_id = token
        assert why in refused(model, processor, inputs, ECSOProcessorError)


class _OtherWords(type(make_processor())):
    """Writes another word in front of an image, by what the image shows."""

    def __call__(self, images=None, text=None, **kwargs):
        if images:
            word = "wide" if images[0][0].shape[-1] > images[0][0].shape[-2] else "square"
            text = [each.replace("<image>", f"{word} <image>") for each in text]
        return super().__call__(images=images, text=text, **kwargs)


def test_a_processor_that_writes_words_of_its_own_around_images_is_refused(processor):
    other = _OtherWords(processor.image_processor, processor.tokenizer, patch_size=4)
    other.chat_template = processor.chat_template
    with pytest.raises(ECSOProcessorError, match="cannot be framed"):
        protect(make_model(processor), other)
