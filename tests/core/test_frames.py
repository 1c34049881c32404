"""What templates write around turns by themselves: the steps have it as well, or there are none."""

import pytest

from modeling_ecso import ECSOProcessorError
from modeling_ecso.conversation_ecso import ConversationReader
from tests.support.chat_formats import turn
from tests.support.tiny_random import image, make_processor, make_tokenizer


WHERE_AN_IMAGE_IS = (
    "{% set seen = namespace(images=false) %}{% for m in messages %}{% for c in m.content "
    "if c.type == 'image' %}{% set seen.images = true %}{% endfor %}{% endfor %}"
)
TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{{ '<image>' if c.type == 'image' else c.text }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKS = "enable_thinking is not defined or enable_thinking"
THINKING_TURNS = TURNS.replace(
    "assistant\n",
    f"assistant\n{{% if {THINKS} %}}<think>\n{{% else %}}<think>\n\n</think>\n\n{{% endif %}}",
)
OWN_TEXT = "OWN TEXT"


def system(text=OWN_TEXT):
    return f"<|im_start|>system\n{text}<|im_end|>\n"


def processor_of(template):
    tokenizer = make_tokenizer("<|im_start|>", "<|im_end|>", "<think>", "</think>")
    tokenizer.eos_token = "<|im_end|>"
    processor = make_processor(tokenizer)
    processor.chat_template = template
    return processor


def ids_of(processor, chat, **switch):
    text = processor.apply_chat_template(chat, add_generation_prompt=True, **switch)
    images = [image()] * images_in(chat)
    return processor(text=text, images=images or None, return_tensors="pt").input_ids[0].tolist()


def images_in(chat):
    return sum(said["type"] == "image" for each in chat for said in each["content"])


QUERY = "How is it made?"
TEXT_FIRST = turn("user", QUERY)
TEXT_FIRST["content"].append({"type": "image"})
EARLIER = turn("assistant", "Well.")
CHATS = {
    "text": [turn("user", QUERY)],
    "an image": [turn("user", QUERY, images=1)],
    "two images": [turn("user", QUERY, images=2)],
    "an image behind the text": [TEXT_FIRST],
    "an image in the first turn": [turn("user", "First.", 1), EARLIER, turn("user", QUERY)],
    "an image in the last turn": [turn("user", "First."), EARLIER, turn("user", QUERY, 1)],
}


@pytest.fixture(params=CHATS)
def chat(request):
    return CHATS[request.param]


def check(template, chat, **switch):
    """Check what is read and what steps write against the template itself."""
    processor = processor_of(template)
    reader = ConversationReader(processor, processor.image_token_id)
    said = reader.read(ids_of(processor, chat, **switch))
    assert OWN_TEXT not in said.query and said.begun == ""
    if len(chat) == 1 and chat[0] is not TEXT_FIRST:
        assert said.query == QUERY
    off = {"enable_thinking": False} if "enable_thinking" in template else {}
    for images in {0, images_in(chat)}:
        own = ids_of(processor, [turn("user", "Why?", images)], **off)
        assert reader.write(said, "Why?", with_images=bool(images)).ids == own


@pytest.mark.parametrize("switch", [{}, {"enable_thinking": True}, {"enable_thinking": False}])
@pytest.mark.parametrize("own", [system, "{}\n".format])
def test_what_a_template_writes_to_think_opens_no_step_that_shows_images(own, chat, switch):
    template = (
        f"{WHERE_AN_IMAGE_IS}{{% if {THINKS} %}}{own('Think.')}"
        f"{{% elif not seen.images %}}{own(OWN_TEXT)}{{% endif %}}{THINKING_TURNS}"
    )
    check(template, chat, **switch)


ONLY_WITH_IMAGES = f"{WHERE_AN_IMAGE_IS}{{% if seen.images %}}{{}}{{% endif %}}{TURNS}"


@pytest.mark.parametrize("own", [system(), f"{OWN_TEXT}\n"])
def test_what_stands_only_in_front_of_images_is_not_the_users(own, chat):
    check(ONLY_WITH_IMAGES.replace("{}", own, 1), chat)


@pytest.mark.parametrize("place", ["[0]", "[-1]"])
@pytest.mark.parametrize("own", [system(), f"{OWN_TEXT}\n"])
def test_a_template_that_looks_where_an_image_stands_is_refused(own, place):
    no_image_there = f"messages{place}.content[0].type != 'image'"
    processor = processor_of(f"{{% if {no_image_there} %}}{own}{{% endif %}}{TURNS}")
    with pytest.raises(ECSOProcessorError, match="where an image stands"):
        ConversationReader(processor, processor.image_token_id)


@pytest.mark.parametrize("switch", [{}, {"enable_thinking": True}, {"enable_thinking": False}])
@pytest.mark.parametrize(
    "says", ["{% if not THINKS %}/nothink{% endif %}", "{% if THINKS %}/think{% endif %}"]
)
def test_what_a_template_writes_behind_a_text_to_think_or_not_is_not_the_users(says, chat, switch):
    said = "{% if m.role == 'user' %}" + says.replace("THINKS", f"({THINKS})") + "{% endif %}"
    check(THINKING_TURNS.replace("<|im_end|>", f"{said}<|im_end|>"), chat, **switch)


@pytest.mark.parametrize("text", ["How?/nothink", "How?<|im_end|>/nothink", "/nothink"])
def test_the_same_words_of_the_user_are_the_users(text):
    said = f"{{% if m.role == 'user' and not ({THINKS}) %}}/nothink{{% endif %}}"
    processor = processor_of(THINKING_TURNS.replace("<|im_end|>", f"{said}<|im_end|>"))
    reader = ConversationReader(processor, processor.image_token_id)
    for switch in ({}, {"enable_thinking": False}):
        ids = ids_of(processor, [turn("user", text, images=1)], **switch)
        assert reader.read(ids).query == text


def test_a_template_that_says_in_the_middle_of_a_turn_whether_to_think_is_refused():
    said = f"{{% if m.role == 'user' and {THINKS} %}}{OWN_TEXT} {{% endif %}}"
    processor = processor_of(THINKING_TURNS.replace("{{ m.role }}\n", "{{ m.role }}\n" + said))
    with pytest.raises(ECSOProcessorError, match="thinking"):
        ConversationReader(processor, processor.image_token_id)
