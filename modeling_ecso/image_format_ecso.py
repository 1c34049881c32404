"""What images look like in a processor's prompts, found by having it write some.

A processor puts special tokens around and between the tokens that stand for an image's features,
sometimes words as well: rows, tiles, line ends. What they are is read off three grey images (one,
a wide one, two), so that no family has to be named. The ids that show an image are then copied from
the caller's prompt as they stand.

Covered: markers in any number and order, also ones that no grey image shows (another row, another
tile); plain words between markers; text that template or processor put around images.
Not covered, and refused: a processor that writes different words around different images; a
template that writes different text in front by where an image stands.
"""

import functools
import itertools
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from .chat_template_ecso import Render, any_of, message
from .errors_ecso import ECSOProcessorError
from .vision_ecso import ImageFormat, with_like_numbers


# What the probes ask; plain words, which every tokenizer gives back as they were.
PROBE = "Which colour is it"
# What comes behind it in probes of several turns.
_ANSWER, _LATER = "It is grey", "What else is there"
# Large enough that processors which cut images into tiles do so; height and width.
_SQUARE, _WIDE = (336, 336), (600, 1200)


class _Placed(NamedTuple):
    """What a template renders around images, in front of the text of the first turn."""

    opening: str
    mark: str
    between: str
    gap: str


def probe_images(
    processor: Any, render: Render, token_id: Any, special_texts: set[str], frame: str
) -> ImageFormat:
    """Return how a processor writes images.

    Args:
        processor: The processor.
        render: Renders messages by its chat template.
        token_id: The id that stands for image features in the model's configuration.
        special_texts: Its special tokens, as text.
        frame: What the template writes in front of the first turn where that shows an image.

    Raises:
        ECSOProcessorError: It takes no images, writes others than the model reads, or none that
            can be told from the text around them.
    """
    if type(token_id) is not int:
        raise ECSOProcessorError(
            "the model's configuration names no image token (image_token_id is "
            f"{token_id!r}), so it cannot be seen where a prompt shows images; pass a model that "
            "reads text and images"
        )
    tokenizer = processor.tokenizer
    rendered = [_rendered(render, [message("user", PROBE, images)]) for images in range(3)]
    none, one, two = (_ids(processor, rendered[n], [_SQUARE] * n) for n in range(3))
    wide = _ids(processor, rendered[1], [_WIDE])
    other_turns = _other_turns(render)
    plain = {*none, *tokenizer(other_turns, add_special_tokens=False).input_ids}
    if token_id not in one or token_id in plain:
        raise ECSOProcessorError(
            f"image_token_id is {token_id} in the model's configuration, which is not the image "
            "token of the processor; use the two that belong together"
        )
    own = {str(getattr(processor, name, "")) for name in ("image_token", "boi_token")} - {""}
    marks = {text for text in {*special_texts, *own} if text not in other_turns}
    placed = _placed_images(rendered, frame, any_of(marks))

    special = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids} - plain | {token_id}
    shown = [_shown_image(ids, token_id, special) for ids in (one, wide, two)]

    text_of = functools.partial(
        tokenizer.decode, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    before = _added_behind(text_of(one[: shown[0].start]), frame + placed.opening)
    behind = _added_in_front(text_of(one[shown[0].end :]).partition(PROBE)[0], placed.gap)
    nameless = ImageFormat(
        token_id=token_id,
        leads=_longest_first(each.lead for each in shown),
        trails=_longest_first(each.trail for each in shown),
        inner_markers=frozenset(special),
        fillings=frozenset(),
        text_of=text_of,
        opening=placed.opening + before,
        placed_opening=placed.opening + placed.mark + placed.gap,
        between=behind + placed.between + before,
        gap=behind + placed.gap,
        probes=(none, one, two, wide),
    )
    fillings = {nameless.filling(run) for each in shown for run in each.fillings}
    return replace(nameless, fillings=frozenset(fillings))


def probe_placements(processor: Any, renders: Iterable[Render]) -> tuple[list[int], ...]:
    """Return prompts whose image stands elsewhere than in front of a single turn, as ids.

    The first text in each is `PROBE`. What the processor does not write is left out: no caller
    can have it either.

    Args:
        processor: The processor.
        renders: The ways in which a caller may have it render messages.
    """
    text_first = message("user", PROBE)
    text_first["content"].append({"type": "image"})
    answer = message("assistant", _ANSWER)
    conversations = [
        [text_first],
        [message("user", PROBE, 1), answer, message("user", _LATER)],
        [message("user", PROBE), answer, message("user", _LATER, 1)],
    ]
    return _all_prompts(processor, renders, conversations, 1)


def probe_renderings(processor: Any, renders: Iterable[Render]) -> tuple[list[int], ...]:
    """Return prompts of a single turn, without and with an image in front, in ways to render them.

    Args:
        processor: The processor.
        renders: As for `probe_placements`.
    """
    without, one = ([[message("user", PROBE, images)]] for images in range(2))
    prompts = _all_prompts(processor, renders, without, 0)
    return prompts + _all_prompts(processor, renders, one, 1)


def _all_prompts(
    processor: Any,
    renders: Iterable[Render],
    conversations: list[list[dict[str, Any]]],
    images: int,
) -> tuple[list[int], ...]:
    """Return each prompt that the processor writes of conversations, once."""
    prompts: dict[str, list[int]] = {}
    for render, turns in itertools.product(renders, conversations):
        try:
            text = render(turns, True)
            if text not in prompts:
                prompts[text] = _ids(processor, text, [_SQUARE] * images)
        except Exception:  # templates raise whatever they like for turns they do not take
            continue
    return tuple(prompts.values())


def _rendered(render: Render, messages: list[dict[str, Any]]) -> str:
    try:
        return render(messages, True)
    except Exception as error:
        what = f"its chat template takes no images ({type(error).__name__})"
        raise cannot_be_framed(what) from None


def cannot_be_framed(why: str) -> ECSOProcessorError:
    """Return the error for a processor whose prompts cannot be read and written."""
    return ECSOProcessorError(
        f"the prompts of this processor cannot be framed: {why}; pass processor= with the one "
        "the model was trained with"
    )


def _ids(processor: Any, text: str, sizes: list[tuple[int, int]]) -> list[int]:
    """Return the ids of a prompt with grey images of given height and width."""
    images = [torch.full((3, *size), 127, dtype=torch.uint8) for size in sizes]
    try:
        made = processor(text=[text], images=[images] if images else None, return_tensors="pt")
        ids: list[int] = made["input_ids"][0].tolist()
    except Exception as error:
        what = f"{len(images)} images" if len(images) > 1 else "an image"
        raise cannot_be_framed(f"it did not take {what} ({type(error).__name__})") from None
    return ids


def _other_turns(render: Render) -> str:
    """Return conversations without images, as far as the template renders them."""
    said = {role: message(role, PROBE) for role in ("system", "user", "assistant", "tool")}
    texts = []
    for roles in (("user", "assistant", "user"), ("system", "user"), ("user", "tool")):
        for opens_answer in (True, False):
            try:
                texts.append(render([said[role] for role in roles], opens_answer))
            except Exception:  # templates raise whatever they like for a role they do not know
                continue
    return "".join(texts)


def _placed_images(rendered: list[str], frame: str, marks: re.Pattern[str]) -> _Placed:
    """Return what stands where, by the renderings of a question with no, one and two images."""
    one, two = (text[len(frame) :].partition(PROBE)[0] for text in rendered[1:])
    found = list(marks.finditer(one))
    if not found or not all(text.startswith(frame) for text in rendered[1:]):
        raise cannot_be_framed("its chat template puts images where they cannot be found")
    opening, gap = one[: found[0].start()], one[found[-1].end() :]
    mark = one[len(opening) : len(one) - len(gap)]
    between = two[len(opening + mark) : len(two) - len(mark + gap)]
    if with_like_numbers(two) != with_like_numbers(opening + mark + between + mark + gap):
        raise cannot_be_framed("its chat template renders two images unlike one")
    return _Placed(opening, mark, between, gap)


def _added_behind(shown: str, rendered: str) -> str:
    """Return what a processor has added behind a text; blanks are the tokenizer's."""
    rest = shown[shown.rfind(rendered.rstrip(" ")) + len(rendered.rstrip(" ")) :]
    return rest if rest.strip(" ") else ""


def _added_in_front(shown: str, rendered: str) -> str:
    """Return what a processor has added in front of a text; blanks are the tokenizer's."""
    rest = shown.removesuffix(rendered)
    return rest if rest.strip(" ") else ""


class _Shown(NamedTuple):
    """How images stand in the ids of a probe: all of them from first marker to last."""

    start: int
    end: int
    lead: tuple[int, ...]
    trail: tuple[int, ...]
    fillings: list[list[int]]  # each with the markers around it


def _shown_image(ids: list[int], token_id: int, special: set[int]) -> _Shown:
    markers = [place for place, token in enumerate(ids) if token in special]
    tokens = [place for place, token in enumerate(ids) if token == token_id]
    return _Shown(
        start=markers[0],
        end=markers[-1] + 1,
        lead=tuple(ids[markers[0] : tokens[0]]),
        trail=tuple(ids[tokens[-1] + 1 : markers[-1] + 1]),
        fillings=[
            ids[start : end + 1] for start, end in itertools.pairwise(markers) if end - start > 1
        ],
    )


def _longest_first(edges: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted({(), *edges}, key=len, reverse=True))
