"""MM-Vet in miniature: open questions, to be graded by a judge.

Layout: ``mm-vet.json``, a dictionary by ``v1_<number>``, and the images in ``images/``. In an
answer ``<AND>`` joins what must all be said, ``<OR>`` what may each stand for the others.
"""

import json
import random
from itertools import chain, cycle, islice
from pathlib import Path

from ..tiny.drawing import KINDS, LABELLED, WORD
from ..tiny.language import COLOUR, NAME, WHOLE
from ..tiny.questions import COUNTS, OPEN_FORMS, facts
from ..tiny.shapes import THINGS
from .tiny_world import COLOURS, Scene, held_out_requests, held_out_scenes, save_image


ROWS_PER_UNIT = 6

# Who asks for a description wants sentences.
GENERATIVE = ("Describe the picture.", "What do you see?")

ANSWERS = {WHOLE: "{colour}<AND>{thing}", NAME: "{thing}", COLOUR: "{colour}"}

LETTER_QUESTION, UNDER_QUESTION, NATURE_QUESTION = OPEN_FORMS
OPEN_ANSWERS = {
    LETTER_QUESTION: "{letters}<OR>{digit}",
    UNDER_QUESTION: "{thing}",
    NATURE_QUESTION: "{nature}",
}
OPEN_CAPABILITIES = {
    LETTER_QUESTION: ["ocr", "math"],
    UNDER_QUESTION: ["ocr", "spat"],
    NATURE_QUESTION: ["rec", "know"],
}


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of questions.

    Args:
        folder: Where to.
        size: Questions are six times this.
    """
    generator = random.Random("mm-vet")
    half = size * ROWS_PER_UNIT // 2
    asked = chain(
        islice(_descriptive(generator), size * ROWS_PER_UNIT - half),
        islice(_open(generator), half),
    )
    samples = {}
    for number, (scene, question, answer, capabilities) in enumerate(asked):
        file = folder / "images" / f"v1_{number}.{'png' if number % 2 else 'jpg'}"
        save_image(scene, file, generator)
        digits = {word: str(count) for count, word in COUNTS.items()}
        known = facts(scene)
        samples[f"v1_{number}"] = {
            "imagename": file.name,
            "question": question,
            "answer": answer.format(digit=digits[known["letters"]], **known),
            "imagesource": "tiny world",
            "capability": capabilities,
        }
    (folder / "mm-vet.json").write_text(json.dumps(samples, indent=4) + "\n", "utf-8")
    return len(samples)


def _descriptive(generator: random.Random):
    """Yield without end the tiny model's own questions about thing and colour."""
    for thing, request in cycle(held_out_requests(THINGS, generator, descriptive=True)):
        kind = generator.choice(KINDS)
        scene = Scene(thing, generator.choice(list(COLOURS)), kind)
        capabilities = ["rec"] if kind != WORD else ["ocr"]
        if kind == LABELLED or (kind == WORD and request.answer != NAME):
            capabilities = ["rec", "ocr"]
        if request.with_image in GENERATIVE:
            capabilities = [*capabilities, "gen"]
        yield scene, request.with_image, ANSWERS[request.answer], capabilities


def _open(generator: random.Random):
    """Yield without end questions for more than thing and colour."""
    forms = [(form, held_out_scenes(form, generator)) for form in OPEN_FORMS]
    for form, scenes in cycle(forms):
        yield next(scenes), form.text, OPEN_ANSWERS[form], OPEN_CAPABILITIES[form]
