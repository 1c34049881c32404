"""Chat templates as the families' public ones render text and images, written anew.

They leave out tools, videos and what else no test here says.
"""

# "USER: <image>\ntext ASSISTANT:", the LLaVA kinds on Vicuna.
VICUNA = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content[0].text }} {% else %}"
    "{{ m.role | upper }}: "
    "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text }}{% endfor %} "
    "{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

# "[INST] <image>\ntext [/INST]", LLaVA-NeXT on Mistral.
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] "
    "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
    "{% for c in m.content if c.type == 'text' %}{{ c.text }}{% endfor %} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content[0].text }}</s> "
    "{% else %}{{ raise_exception('no such role') }}{% endif %}{% endfor %}"
)

# "<|im_start|>User:<image>text<end_of_utterance>\nAssistant:": the colon is followed by a blank
# where the turn begins with text.
IDEFICS = (
    "<|im_start|>{% for m in messages %}{{ m.role | capitalize }}"
    "{% if m.content[0].type == 'image' %}:{% else %}: {% endif %}"
    "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% else %}<image>{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)

# Turns trimmed; no system role: its text opens the first user turn.
GEMMA_3 = (
    "{{ bos_token }}"
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content[0].text + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}"
    "{% set rest = messages %}{% endif %}"
    "{% for m in rest %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ first if loop.first else '' }}"
    "{% for c in m.content %}{% if c.type == 'image' %}<start_of_image>"
    "{% else %}{{ c.text | trim }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

# Llama 3 with pictures in front of the text: a system turn stands only where there are none.
LLAMA_3 = (
    "{{ bos_token }}{% set seen = namespace(images=false) %}"
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set first = '' %}{% endif %}"
    "{% for m in messages %}{% for c in m.content if c.type == 'image' %}"
    "{% set seen.images = true %}{% endfor %}{% endfor %}"
    "{% if seen.images and first %}{{ raise_exception('no system text with images') }}{% endif %}"
    "{% if not seen.images %}<|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: {{ strftime_now('%d %b %Y') }}\n\n"
    "{{ first }}<|eot_id|>{% endif %}"
    "{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% for c in m.content %}{% if c.type == 'image' %}<|image|>{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)

# Cohere's turns, as Aya Vision and Command A Vision write them.
COHERE = (
    "{{ bos_token }}{% for m in messages %}<|START_OF_TURN_TOKEN|>"
    "{% if m.role == 'user' %}<|USER_TOKEN|>{% elif m.role == 'assistant' %}<|CHATBOT_TOKEN|>"
    "{% else %}<|SYSTEM_TOKEN|>{% endif %}"
    "{% if m.role == 'assistant' %}<|START_RESPONSE|>{% endif %}"
    "{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}{% if m.role == 'assistant' %}<|END_RESPONSE|>{% endif %}"
    "<|END_OF_TURN_TOKEN|>{% endfor %}"
    "{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>"
    "{% endif %}"
)


def chatml(image: str, system: str = "", opens: str = "", empty: str | None = None) -> str:
    """Return the template of the families that write ``<|im_start|>role``.

    Args:
        image: What stands for an image.
        system: Text it writes itself where the messages bring none.
        opens: What it writes behind the opening of an answer.
        empty: What it writes there where ``enable_thinking`` is false; None: it knows no switch.
    """
    opened = opens
    if empty is not None:
        opened = (
            "{% if enable_thinking is defined and enable_thinking is false %}"
            f"{empty}{{% else %}}{opens}{{% endif %}}"
        )
    said = "{{ c.text }}"
    if opens or empty:  # a history is told without thoughts
        said = "{{ c.text.split('</think>')[-1] if m.role == 'assistant' else c.text }}"
    own = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\n" + system + "<|im_end|>\n"
        "{% endif %}"
        if system
        else ""
    )
    return (
        f"{own}{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n"
        "{% for c in m.content %}{% if c.type == 'image' %}" + image + "{% else %}"
        f"{said}"
        "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
        f"{{% if add_generation_prompt %}}<|im_start|>assistant\n{opened}{{% endif %}}"
    )


# "<|turn>user\n…<turn|>\n", Gemma 4; thinking is asked for in a system turn of its own.
GEMMA_4 = (
    "{{ bos_token }}{% set thinks = enable_thinking is defined and enable_thinking %}"
    "{% if thinks %}<|turn>system\n<|think|><turn|>\n{% endif %}"
    "{% for m in messages %}<|turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{% for c in m.content %}{% if c.type == 'image' %}<|image|>{% else %}{{ c.text | trim }}"
    "{% endif %}{% endfor %}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n"
    "{% if not thinks %}<|channel>thought\n<channel|>{% endif %}{% endif %}"
)

# "[gMASK]<sop><|user|>\n…<|assistant|>\n", GLM-4.1V; it thinks by itself.
GLM = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n"
    "{% for c in m.content %}"
    "{% if c.type == 'image' %}<|begin_of_image|><|image|><|end_of_image|>"
    "{% elif m.role == 'assistant' %}{{ c.text.split('</think>')[-1] }}"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

# "<|im_user|>user<|im_middle|>…<|im_end|>", Kimi; a plain word stands inside the image's markers.
KIMI = (
    "{% for m in messages %}<|im_{{ m.role }}|>{{ m.role }}<|im_middle|>"
    "{% if m.role == 'assistant' %}<think></think>{% endif %}"
    "{% for c in m.content %}{% if c.type == 'image' %}"
    "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_assistant|>assistant<|im_middle|>"
    "{% if thinking is defined and not thinking %}<think></think>{% else %}<think>{% endif %}"
    "{% endif %}"
)

# "[INST][IMG]text[/INST]", Mistral's own.
PIXTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'user' %}[INST]{% for c in m.content %}"
    "{% if c.type == 'image' %}[IMG]{% else %}{{ c.text }}{% endif %}{% endfor %}[/INST]"
    "{% elif m.role == 'system' %}[SYSTEM_PROMPT]{{ m.content[0].text }}[/SYSTEM_PROMPT]"
    "{% else %}{{ m.content[0].text }}{{ eos_token }}{% endif %}{% endfor %}"
)

# "<|im_start|>user\n<|image|>…<|im_end|>", Molmo 2; its processor writes the start token.
MOLMO_2 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% for c in m.content %}{% if c.type == 'image' %}<|image|>{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# "<|user|><|image_1|>text<|end|><|assistant|>", Phi-4.
PHI_4 = (
    "{% for m in messages %}<|{{ m.role }}|>{% for c in m.content %}"
    "{% if c.type == 'image' %}<|image|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
