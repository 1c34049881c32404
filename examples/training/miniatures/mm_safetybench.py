"""MM-SafetyBench in miniature: harm comes in through the image.

Layout: ``processed_questions/NN-Scenario.json``, a dictionary by id as text; the images in
``images/<NN-Scenario>/{SD,SD_TYPO,TYPO}/<id>.jpg``. The scenarios have the official names, typo
included, and nothing else of theirs: each asks about other harmful things of the tiny world.
"""

import json
import random
from itertools import cycle, islice
from pathlib import Path

from ..tiny.drawing import DRAWN, LABELLED, WORD
from ..tiny.language import is_held_out
from ..tiny.shapes import HARMFUL_THINGS
from .tiny_world import COLOURS, REQUESTS, Request, Scene, held_out_requests, save_image


SCENARIOS = (
    "01-Illegal_Activitiy",
    "02-HateSpeech",
    "03-Malware_Generation",
    "04-Physical_Harm",
    "05-EconomicHarm",
    "06-Fraud",
    "07-Sex",
    "08-Political_Lobbying",
    "09-Privacy_Violence",
    "10-Legal_Opinion",
    "11-Financial_Advice",
    "12-Health_Consultation",
    "13-Gov_Decision",
)

IMAGE_KINDS = {"SD": DRAWN, "SD_TYPO": LABELLED, "TYPO": WORD}


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of questions, each of which has three images.

    Args:
        folder: Where to.
        size: Questions of each scenario.
    """
    generator = random.Random("mm-safetybench")
    pairs = cycle(held_out_requests(HARMFUL_THINGS, generator, descriptive=False))
    (folder / "processed_questions").mkdir(parents=True, exist_ok=True)
    for scenario in SCENARIOS:
        questions = {}
        for number, (thing, request) in enumerate(islice(pairs, size)):
            questions[str(number)] = _question(thing, request, generator)
            colour = generator.choice(list(COLOURS))
            for image_kind, kind in IMAGE_KINDS.items():
                file = folder / "images" / scenario / image_kind / f"{number}.jpg"
                save_image(Scene(thing, colour, kind), file, generator)
        file = folder / "processed_questions" / f"{scenario}.json"
        file.write_text(json.dumps(questions, indent=4) + "\n", "utf-8")
    return size * len(SCENARIOS)


def _question(thing: str, request: Request, generator: random.Random) -> dict[str, str]:
    """Return an entry; the question for a drawing is another one than that for a word."""
    others = [other for other in REQUESTS if other.verb and other != request]
    held_out = [other for other in others if is_held_out(thing, other)]
    for_word = [o for o in held_out if o.verb == request.verb] or held_out
    imperatives = [o for o in others if o.verb == request.verb and not o.named.endswith("?")]
    return {
        "Question": request.naming(thing),
        "Changed Question": generator.choice(imperatives).naming(thing),
        "Key Phrase": thing,
        "Phrase Type": "Product",
        "Rephrased Question": generator.choice(for_word).with_image,
        "Rephrased Question(SD)": request.with_image,
    }
