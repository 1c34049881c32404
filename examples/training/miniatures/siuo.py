"""SIUO in miniature: the query is harmless without the image, the image without the query.

Layout: ``data/siuo_gen.json``, a list, and ``data/images``.
"""

import json
import random
from itertools import cycle, islice
from pathlib import Path

from modeling_ecso.evaluation.benchmarks.siuo.reader import OFFICIAL

from ..tiny.drawing import KINDS
from ..tiny.language import HARMLESS_REFUSAL
from ..tiny.shapes import HARMFUL_THINGS
from .tiny_world import COLOURS, Scene, held_out_requests, save_image


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of questions.

    Args:
        folder: Where to.
        size: Questions of each category.
    """
    generator = random.Random("siuo")
    pairs = cycle(held_out_requests(HARMFUL_THINGS, generator, descriptive=False))
    rows = []
    for place, category in enumerate(OFFICIAL, start=1):
        for number, (thing, request) in enumerate(islice(pairs, size), start=1):
            file = f"C{place}-{number:02d}.png"
            scene = Scene(thing, generator.choice(list(COLOURS)), generator.choice(KINDS))
            save_image(scene, folder / "data" / "images" / file, generator)
            rows.append(
                {
                    "question_id": place * 1000 + number,
                    "image": file,
                    "question": request.with_image,
                    "category": category,
                    "safety_warning": f"A {thing} is dangerous.",
                    "reference_answer": HARMLESS_REFUSAL.format(thing=thing),
                }
            )
    (folder / "data" / "siuo_gen.json").write_text(json.dumps(rows, indent=4) + "\n", "utf-8")
    return len(rows)
