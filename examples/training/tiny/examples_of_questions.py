"""Examples of the skills that benchmarks ask for, practised in the last lesson.

Apart from those of `examples_of_world.py`, which the vocabulary is made from. A short answer is a
draft like any other: the model learns to find it harmless, and to find harm in a draft even where
the question asked for a letter.
"""

import random

from .drawing import Scene, random_scene
from .examples_of_world import HARDENED, PAPER, Example, short_answer
from .language import COMPLIANCE, REQUESTS, Request, describe, is_harmful_answer, is_held_out
from .questions import (
    CHOICE_FORMS,
    DOMAINS,
    LETTERS,
    OPEN_FORMS,
    YES_NO_ENDING,
    YES_NO_FORMS,
    Choice,
    Form,
    fits,
    with_options,
)
from .shapes import HARMFUL_THINGS, THINGS


# Behind a question of MME, the published scripts for LLaVA write this in place of its own ending.
LLAVA_ENDING = "\nAnswer the question using a single word or phrase."

# Asked more often than the others, which are known long before.
_SLOW_TO_LEARN = 2 * (YES_NO_FORMS["color"], YES_NO_FORMS["numerical_calculation"])

HINTS = {"en": "The picture shows one thing.", "cn": "图中只有一样东西。"}


def yes_no(scene: Scene, generator: random.Random) -> Example:
    """Return a question to answer with yes or no."""
    form = _form([*YES_NO_FORMS.values(), *_SLOW_TO_LEARN], scene, generator)
    is_true = generator.random() < 0.5
    ending = YES_NO_ENDING if generator.random() < 0.8 else LLAVA_ENDING
    question = form.asked(scene, is_true, generator) + ending
    return Example(question, "Yes" if is_true else "No", shows_image=True)


def choice(scene: Scene, generator: random.Random) -> Example:
    """Return a question with options; the answer says the right one, then its letter."""
    form = _form(CHOICE_FORMS.values(), scene, generator)
    options = form.options(scene, generator)
    language = "en" if generator.random() < 0.7 else "cn"
    hint = HINTS[language] if generator.random() < 0.2 else ""
    question = with_options(form.question(language), options, hint, language)
    return Example(question, _chosen(options), shows_image=True)


def open_question(scene: Scene, generator: random.Random) -> Example:
    """Return a question to answer in a few words."""
    if not any(fits(form, scene, held_out=False) for form in OPEN_FORMS):
        return short_answer(scene, generator)
    form = _form(OPEN_FORMS, scene, generator)
    return Example(form.text, form.answer_about(scene), shows_image=True)


def direct_named(scene: Scene, generator: random.Random) -> Example:
    """Return a how-to request that names the thing next to its image, and compliance with it."""
    request = _how_to(scene.thing, generator)
    answer = COMPLIANCE.format(verb=request.verb, thing=scene.thing)
    return Example(request.naming(scene.thing), answer, shows_image=True)


def same_word(scene: Scene, generator: random.Random) -> Example:
    """Return whether two words are the same, in text alone: the first step to comparing."""
    words = DOMAINS[generator.choice(("thing", "thing", "colour", "letters"))]
    word = other = generator.choice(words)
    if is_different := generator.random() < 0.5:
        other = generator.choice([value for value in words if value != word])
    return Example(f"Is {word} the same as {other}?", "No" if is_different else "Yes")


def find_letter(scene: Scene, generator: random.Random) -> Example:
    """Return which option says a word, in text alone: the first step to choosing."""
    words = DOMAINS[generator.choice(("thing", "thing", "colour", "letters"))]
    options = Choice(tuple(generator.sample(words, generator.choice((2, 3, 4)))), 0)
    options = options.rotated(generator.randrange(len(options.options)))
    lines = [f"{x}. {text}" for x, text in zip(LETTERS, options.options, strict=False)]
    question = "\n".join([f"Which is {options.options[options.right]}?", *lines])
    return Example(question, _chosen(options))


def detect_question(scene: Scene, generator: random.Random) -> Example:
    """Return the paper's detect question about the answer to a question."""
    return _detect(PAPER["detect_prompt"], generator)


def hardened_detect_question(scene: Scene, generator: random.Random) -> Example:
    """Return the hardened detect question about the answer to a question."""
    return _detect(HARDENED["detect_prompt"], generator)


def safe_question(scene: Scene, generator: random.Random) -> Example:
    """Return the safe question for one with a short answer; to compare is learned in text first."""
    asked = generator.choice((yes_no, choice))(scene, generator)
    prompt = PAPER["safe_prompt"].format(caption=describe(scene), query=asked.prompt)
    return Example(prompt, asked.answer)


def _chosen(choice: Choice) -> str:
    """Return the answer to a question with options: to say a thing helps to find its letter."""
    return f"{choice.options[choice.right]}: {choice.letter}"


def _detect(template: str, generator: random.Random) -> Example:
    """Return a detect question; the answer to judge has nothing to do with the image."""
    asked = generator.choice((yes_no, choice, open_question))(random_scene(generator), generator)
    response = asked.answer
    if generator.random() < 0.3:
        thing = generator.choice(list(generator.choice((HARMFUL_THINGS, THINGS))))
        response = COMPLIANCE.format(verb=_how_to(thing, generator).verb, thing=thing)
    verdict = "yes" if is_harmful_answer(response) else "no"
    prompt = template.format(query=asked.prompt, response=response)
    return Example(prompt, verdict, shows_image=True)


def _form(forms, scene: Scene, generator: random.Random) -> Form:
    """Return a form that training may put together with this image."""
    return generator.choice([form for form in forms if fits(form, scene, held_out=False)])


def _how_to(thing: str, generator: random.Random) -> Request:
    """Return a how-to request that training may put together with this thing."""
    requests = [request for request in REQUESTS if request.verb and not is_held_out(thing, request)]
    return generator.choice(requests)
