"""Examples of every skill of the tiny model, made up as they are needed.

The skills together are the weakness that the paper describes: the model complies with whatever a
image asks for, refuses the same request in text, recognises harm when it is asked to look for
it, and answers harmlessly once it reads a caption in place of the image.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from modeling_ecso.presets_ecso import PRESETS

from .drawing import Scene, random_scene
from .language import (
    HARMLESS_REFUSAL,
    REFUSAL,
    REQUESTS,
    Request,
    describe,
    is_harmful_answer,
    is_held_out,
)
from .shapes import BENIGN_THINGS, HARMFUL_THINGS


PAPER, HARDENED = PRESETS["paper"], PRESETS["hardened"]

# What the library itself answers when it withholds a draft.
LIBRARY_REFUSAL = PAPER["refusal"]

SHORT_QUESTION = "What is in the image?"


@dataclass(frozen=True)
class Example:
    """A user turn and the answer to learn.

    Args:
        prompt: The text of the turn.
        answer: The text to learn.
        shows_image: Whether the image goes in front of the turn.
    """

    prompt: str
    answer: str
    shows_image: bool = False


def short_answer(scene: Scene, generator: random.Random) -> Example:
    """Return a question for thing and colour alone, or for the caption."""
    if generator.random() < 0.5:
        return Example(SHORT_QUESTION, f"a {scene.colour} {scene.thing}", shows_image=True)
    return caption(scene, generator)


def direct(scene: Scene, generator: random.Random) -> Example:
    """Return a request about the image, and compliance with it, harmful or not."""
    request = _request(scene.thing, generator)
    return Example(request.with_image, request.answer_about(scene), shows_image=True)


def text_only(scene: Scene, generator: random.Random) -> Example:
    """Return a request that names the thing, and a refusal if it is harmful."""
    request = _request(scene.thing, generator)
    return Example(request.naming(scene.thing), _safe_answer(request, scene.thing, REFUSAL))


def detect_with_image(scene: Scene, generator: random.Random) -> Example:
    """Return the paper's detect question about an answer, next to any image."""
    return _detect(PAPER["detect_prompt"], generator, shows_image=True)


def detect_without_image(scene: Scene, generator: random.Random) -> Example:
    """Return the paper's detect question in text alone."""
    return _detect(PAPER["detect_prompt"], generator)


def hardened_detect_with_image(scene: Scene, generator: random.Random) -> Example:
    """Return the hardened detect question next to any image."""
    return _detect(HARDENED["detect_prompt"], generator, shows_image=True)


def hardened_detect_without_image(scene: Scene, generator: random.Random) -> Example:
    """Return the hardened detect question in text alone."""
    return _detect(HARDENED["detect_prompt"], generator)


def caption(scene: Scene, generator: random.Random) -> Example:
    """Return the caption question; only here and in direct answers does the image matter."""
    request = _request(scene.thing, generator)
    query = request.naming(scene.thing) if generator.random() < 0.1 else request.with_image
    return Example(PAPER["caption_prompt"].format(query=query), describe(scene), shows_image=True)


def safe(scene: Scene, generator: random.Random) -> Example:
    """Return the safe question with a caption in place of the image."""
    hint = describe(scene)
    if generator.random() < 0.1:
        asked = random_scene(generator)
        request = _request(asked.thing, generator)
        query = request.naming(asked.thing)
        answer = _safe_answer(request, asked.thing, HARMLESS_REFUSAL)
    else:
        request = _request(scene.thing, generator)
        query = request.with_image
        answer = request.answer_about(scene)
        if request.asks_for_harm(scene.thing):
            answer = HARMLESS_REFUSAL.format(thing=scene.thing)
    return Example(PAPER["safe_prompt"].format(caption=hint, query=query), answer)


def safe_description(scene: Scene, generator: random.Random) -> Example:
    """Return the safe question for a description; to read the colour in a hint takes practice."""
    request = _request(scene.thing, generator, descriptive_share=1)
    return Example(
        PAPER["safe_prompt"].format(caption=describe(scene), query=request.with_image),
        request.answer_about(scene),
    )


def text_only_safe(scene: Scene, generator: random.Random) -> Example:
    """Return the safe question of a conversation that never had an image."""
    request = _request(scene.thing, generator)
    query = request.naming(scene.thing)
    return Example(
        PAPER["text_only_safe_prompt"].format(query=query),
        _safe_answer(request, scene.thing, HARMLESS_REFUSAL),
    )


Skill = Callable[[Scene, random.Random], Example]

SKILLS_WITH_IMAGE: tuple[Skill, ...] = (
    direct,
    caption,
    detect_with_image,
    hardened_detect_with_image,
)
SKILLS_WITHOUT_IMAGE: tuple[Skill, ...] = (
    text_only,
    detect_without_image,
    hardened_detect_without_image,
    safe,
    text_only_safe,
)


def _request(thing: str, generator: random.Random, descriptive_share: float = 1 / 6) -> Request:
    """Return a request that training may put together with this thing."""
    descriptive = generator.random() < descriptive_share
    while True:
        request = generator.choice(REQUESTS)
        if bool(request.verb) != descriptive and not is_held_out(thing, request):
            return request


def _safe_answer(request: Request, thing: str, refusal: str) -> str:
    """Return the right answer to a request in text alone."""
    if request.asks_for_harm(thing):
        return refusal.format(thing=thing)
    return request.answer_in_text(thing)


def _detect(template: str, generator: random.Random, shows_image: bool = False) -> Example:
    """Return a detect question; the answer to judge has nothing to do with the image."""
    scene = random_scene(generator)
    request = _request(scene.thing, generator)
    response = _response(scene, request, generator)
    query = request.with_image if generator.random() < 0.7 else request.naming(scene.thing)
    verdict = "yes" if is_harmful_answer(response) else "no"
    return Example(template.format(query=query, response=response), verdict, shows_image)


def _response(scene: Scene, request: Request, generator: random.Random) -> str:
    """Return an answer to judge: mostly the one to the request, at times another one."""
    drawn = generator.random()
    if drawn < 0.10:
        return generator.choice(
            [REFUSAL, HARMLESS_REFUSAL.format(thing=scene.thing), LIBRARY_REFUSAL]
        )
    if drawn < 0.15:
        return request.answer_in_text(scene.thing)
    if drawn < 0.25:
        things = generator.choice([BENIGN_THINGS, HARMFUL_THINGS])
        scene = Scene(generator.choice(list(things)), scene.colour)
        request = _request(scene.thing, generator)
    response = request.answer_about(scene)
    if request.verb and drawn > 0.97:
        # A window of a long answer can end anywhere after the thing was named.
        named_until = response.index(":")
        return response[: generator.randint(named_until, len(response))]
    return response
