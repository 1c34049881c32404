"""Processors that write chats as LLaVA-1.5, ChatML, Qwen and Llama-3 models do; no downloads."""

from typing import NamedTuple

from tests.support.tiny_random import CHAT_TEMPLATE, make_processor, make_tokenizer


_CONTENT = (
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{{ '<image>\n' if c.type == 'image' else c.text }}{% endfor %}"
    "{% endif %}"
)
_CHATML_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    + _CONTENT
    + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_SYSTEM = "You are a kind assistant."


class ChatFormat(NamedTuple):
    """A way to write a chat.

    Args:
        template: Its chat template.
        special_tokens: Special tokens that it is written with.
        end: What ends a turn; empty where nothing does.
        first: What the template writes by itself in front of the first turn.
        writes_bos: Whether the template itself writes the start token.
    """

    template: str
    special_tokens: tuple[str, ...] = ()
    end: str = ""
    first: str = ""
    writes_bos: bool = False


FORMATS = {
    "llava": ChatFormat(CHAT_TEMPLATE),
    "chatml": ChatFormat(_CHATML_TURNS, ("<|im_start|>", "<|im_end|>"), "<|im_end|>"),
    "qwen": ChatFormat(
        "{% if messages[0].role != 'system' %}<|im_start|>system\n"
        + QWEN_SYSTEM
        + "<|im_end|>\n{% endif %}"
        + _CHATML_TURNS,
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
        f"<|im_start|>system\n{QWEN_SYSTEM}<|im_end|>\n",
    ),
    "llama-3": ChatFormat(
        "{{ bos_token }}{% for m in messages %}"
        "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        + _CONTENT
        + "<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|eot_id|>",
        writes_bos=True,
    ),
}


def make_format_processor(name):
    """Return the processor of a chat format."""
    form = FORMATS[name]
    tokenizer = make_tokenizer(*form.special_tokens)
    if form.end:
        tokenizer.eos_token = form.end
    processor = make_processor(tokenizer)
    processor.chat_template = form.template
    return processor


def turn(role, text, images=0):
    content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
    return {"role": role, "content": content}
