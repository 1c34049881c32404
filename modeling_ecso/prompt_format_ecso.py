"""How a processor writes prompts: texts, images, thoughts. Learnt once, by having it write some.

What is found is tried at once by the reader of `conversation_ecso.py`: every prompt it was found
from must be read and written as it was, or the processor is refused.
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

from .chat_template_ecso import Render, TurnFormat, any_of, read_image_frame, read_template
from .image_format_ecso import probe_images, probe_placements, probe_renderings
from .thought_ecso import RenderWith, Thoughts, learn_thoughts
from .verdict_ecso import word_of_token
from .vision_ecso import ImageFormat


@dataclass(frozen=True)
class PromptFormat:
    """How one processor writes prompts.

    Args:
        turns: How turns are written.
        images: How images are written.
        thoughts: How thoughts are; None where the template knows of none.
        special_text: Finds special tokens that are spelled out in a text.
        end_ids: The ids that end an answer, as far as template and tokenizer tell.
        yes_ids: Every single token that says yes.
        no_ids: Every single token that says no.
        render: Renders a conversation as a step does, without thoughts that the template writes.
        placements: Prompts whose image stands elsewhere than in front of a single turn.
        renderings: Prompts of a single turn, as a caller may have them who switches thinking.
    """

    turns: TurnFormat
    images: ImageFormat
    thoughts: Thoughts | None
    special_text: re.Pattern[str]
    end_ids: list[int]
    yes_ids: list[int]
    no_ids: list[int]
    render: Render
    placements: tuple[list[int], ...]
    renderings: tuple[list[int], ...]


def learn_format(processor: Any, image_token_id: int | None) -> PromptFormat:
    """Return how a processor writes prompts.

    Args:
        processor: A transformers processor with a tokenizer and a chat template.
        image_token_id: The id that stands for image features in the model's configuration.

    Raises:
        ECSOProcessorError: It has no chat template, one that cannot be read, or writes no images
            that can be told from the text around them.
    """

    def render_with(messages: list[dict[str, Any]], opens_answer: bool, **switch: bool) -> str:
        return str(
            processor.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opens_answer, **switch
            )
        )

    def render(messages: list[dict[str, Any]], opens_answer: bool) -> str:
        if thoughts is None:
            return render_with(messages, opens_answer)
        return thoughts.without_own(render_with(messages, opens_answer, **thoughts.switched_off))

    tokenizer = processor.tokenizer
    specials = _special_texts(tokenizer, image_token_id)
    # A single character cannot be broken up; it means in a step what it means in a prompt.
    special_text = any_of({text.strip() for text in specials if len(text.strip()) > 1})
    thoughts = learn_thoughts(render_with, str(processor.chat_template))
    bos = tokenizer.bos_token or ""
    template = read_template(render, special_text, bos)
    others = thoughts.frames if thoughts else ()
    end_id = tokenizer.eos_token_id
    if special_text.fullmatch(template.answer_end):
        end_id = tokenizer.convert_tokens_to_ids(template.answer_end)
    frames = (template.frame, *(each.removesuffix(template.user_opening) for each in others))
    image_frame = read_image_frame(render, template)
    switches = thoughts.switches if thoughts else ({},)
    rendered_with: RenderWith = render_with
    renders = [functools.partial(rendered_with, **switch) for switch in switches]
    images = probe_images(processor, render, image_token_id, specials, image_frame)
    return PromptFormat(
        turns=TurnFormat(
            template,
            frames,
            image_frame,
            bos,
            image_opening=images.opening,
            image_gap=images.gap,
            answer_openings=(template.answer_opening,),
        ),
        images=images,
        thoughts=thoughts,
        special_text=special_text,
        end_ids=[] if end_id is None else [end_id],
        yes_ids=_word_ids(tokenizer, "yes"),
        no_ids=_word_ids(tokenizer, "no"),
        render=render,
        placements=probe_placements(processor, renders),
        renderings=probe_renderings(processor, renders) if thoughts else (),
    )


def _special_texts(tokenizer: Any, image_token_id: int | None) -> set[str]:
    """Return what a prompt must not spell out as text."""
    added = tokenizer.added_tokens_decoder.values()
    # Some tokenizers keep their role markers as added tokens that are not special.
    texts = {token.content for token in added if token.special or _is_tag(token.content)}
    texts |= {*tokenizer.all_special_tokens}
    if isinstance(image_token_id, int) and 0 <= image_token_id < len(tokenizer):
        texts.add(str(tokenizer.convert_ids_to_tokens(image_token_id)))
    return texts


def _is_tag(token: str) -> bool:
    """Return whether a token has signs around it, unlike a word."""
    text = token.strip()
    has_letters = any(sign.isalnum() for sign in text)
    return has_letters and not (text[0].isalnum() and text[-1].isalnum())


def _word_ids(tokenizer: Any, word: str) -> list[int]:
    vocabulary = tokenizer.get_vocab().items()
    return [token_id for token, token_id in vocabulary if word_of_token(token) == word]
