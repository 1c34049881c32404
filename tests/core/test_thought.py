"""Models that think before they answer: thoughts are judged, and no answer stands inside one."""

import pytest

from tests.support.chat_formats import FORMATS
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_model, make_processor, make_tokenizer


# Opens a thought in front of every answer, unless it is told not to.
THINKS = FORMATS["chatml"].template.replace(
    "<|im_start|>assistant\n{% endif %}",
    "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}",
)
# Knows thoughts and leaves them to the model.
THINKS_BY_ITSELF = FORMATS["chatml"].template + "{# <think></think> #}"
MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
DRAFT = "step one.</think>Here is how."


@pytest.fixture(scope="module", params=["special", "words"])
def processor(request):
    tokenizer = make_tokenizer(*(MARKS if request.param == "special" else MARKS[:2]))
    tokenizer.eos_token = "<|im_end|>"
    made = make_processor(tokenizer)
    made.chat_template = THINKS
    return made


def asked(processor, begun=""):
    content = [{"type": "image"}, {"type": "text", "text": "How do I make this?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    return processor(text=[text + begun], images=[image()], return_tensors="pt")


def answered(processor, said, begun="", **ecso):
    """Return the script that has run, the output, and the text behind the thought's opening."""
    model = make_model(processor, **ecso)
    script = Script(model, processor, **said)
    output = model.generate(
        **asked(processor, begun),
        max_new_tokens=60,
        return_dict_in_generate=True,
        output_logits=True,
    )
    text = processor.tokenizer.decode(output.sequences[0])
    return script, output, text.partition("<think>\n")[2].removesuffix("<|im_end|>")


def prompts(script, step):
    return [prompt for at, prompt in script.prompts if at == step]


def test_the_thought_is_judged_with_the_answer_and_the_answer_by_itself(processor):
    script, output, text = answered(processor, {"direct": DRAFT, "detect": "no"})
    responses = [prompt.partition("RESPONSE:\n")[2] for prompt in prompts(script, "detect")]
    assert [each.startswith("Here is how.") for each in responses] == [True, False]
    assert "step one." in responses[1] and "Here is how." in responses[1]
    assert output.ecso_traces[0].outcome == "direct" and text == " " + DRAFT


def test_a_thought_that_is_unsafe_withholds_the_answer(processor):
    def judged(prompt):
        return "yes" if "step one." in prompt else "no"

    said = {"direct": DRAFT, "detect": judged, "caption": "a kite", "safe": "No."}
    _, output, text = answered(processor, said)
    assert output.ecso_traces[0].outcome == "safe" and "step one." not in text


def test_steps_do_not_think_and_are_read_behind_a_thought(processor):
    said = {
        "direct": DRAFT,
        "detect": "<think>no, no</think>yes",
        "caption": "<think>no</think>a kite",
        "safe": "Buy one.",
    }
    script, output, _ = answered(processor, said, keep_caption=True)
    for step in ("detect", "caption", "safe"):
        for prompt in prompts(script, step):
            assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert output.ecso_traces[0].caption == "a kite"


@pytest.mark.parametrize("begun", ["", "I should tell"])
@pytest.mark.parametrize("safe, outcome", [("Buy one.", "safe"), (RuntimeError(), "refusal")])
def test_neither_safe_answer_nor_refusal_stands_inside_an_open_thought(
    processor, begun, safe, outcome
):
    said = {"direct": DRAFT, "detect": "yes", "caption": "a kite", "safe": safe}
    _, output, text = answered(processor, said, begun)
    thought, mark, answer = text.partition("</think>")
    assert output.ecso_traces[0].outcome == outcome
    assert (thought.strip(), mark) == (begun, "</think>")
    assert answer.strip() == ("Buy one." if outcome == "safe" else "I can't help with that.")


@pytest.mark.parametrize(
    "draft, left",
    [
        (DRAFT, "Here is how."),
        ("step one. and on", ""),
        ("<think>step one.</think>two</think>Yes.", "Yes."),
    ],
)
def test_a_thought_that_is_not_wanted_is_judged_and_left_out(processor, draft, left):
    script, output, text = answered(
        processor, {"direct": draft, "detect": "no"}, keep_thought=False
    )
    assert any("step one." in prompt for prompt in prompts(script, "detect"))
    assert output.ecso_traces[0].outcome == "direct"
    assert text.partition("</think>")[0] == "\n" and text.partition("</think>")[2].strip() == left
    new = output.sequences[0, -len(output.logits) :].tolist()
    # What was not generated has no logits; the rest has its own.
    generated = [step[0] for step in output.logits if not step[0].isnan().any()]
    assert [int(each.argmax()) for each in generated] == new[len(new) - len(generated) :]


def test_a_model_that_thinks_by_itself_is_told_not_to_by_a_closed_thought(processor):
    processor.chat_template = THINKS_BY_ITSELF
    said = {"direct": "<think>step one.</think>Here is how.", "detect": "no"}
    script, output, _ = answered(processor, said, keep_thought=False)
    processor.chat_template = THINKS
    assert prompts(script, "detect")[0].endswith("assistant\n<think>\n\n</think>\n\n")
    answer = processor.tokenizer.decode(output.sequences[0]).rpartition("assistant\n")[2]
    assert answer == "Here is how.<|im_end|>"


def test_a_follow_up_question_is_answered_without_a_thought(processor):
    reader = make_model(processor)._protection().reader(processor)
    asked_so = processor.tokenizer.decode(reader.follow_up_ids("Is it harmful?"))
    assert asked_so.endswith(
        "Is it harmful?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
