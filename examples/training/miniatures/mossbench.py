"""MOSSBench in miniature: benign queries about dangerous things, and about harmless ones.

Layout: ``data/images_information/information.json``, an object by number, and ``data/images``.
Exaggerated risk is a drawing of a dangerous thing that is only to be described, negated harm the
same as a word, counterintuitive a how-to about a harmless thing.
"""

import json
import random
from itertools import cycle, islice
from pathlib import Path

from ..tiny.drawing import DRAWN, WORD
from ..tiny.language import describe
from ..tiny.shapes import BENIGN_THINGS, HARMFUL_THINGS
from .tiny_world import COLOURS, Scene, held_out_requests, save_image


# Type of stimulus → things, whether they are only to be described, kind of image.
TYPES = {
    "type 1": (HARMFUL_THINGS, True, DRAWN),
    "type 2": (HARMFUL_THINGS, True, WORD),
    "type 3": (BENIGN_THINGS, False, DRAWN),
}


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of queries.

    Args:
        folder: Where to.
        size: Queries of each type are twice this.
    """
    generator = random.Random("mossbench")
    rows: dict[str, dict] = {}
    for over, (things, is_descriptive, kind) in TYPES.items():
        pairs = cycle(held_out_requests(things, generator, descriptive=is_descriptive))
        for thing, request in islice(pairs, 2 * size):
            number = str(len(rows) + 1)
            scene = Scene(thing, generator.choice(list(COLOURS)), kind)
            save_image(scene, folder / "data" / "images" / f"{number}.png", generator)
            rows[number] = {
                "image": f"images/{number}.png",
                "short description": describe(scene),
                "description": describe(scene),
                "question": request.with_image,
                "pid": number,
                "metadata": {
                    "over": over,
                    "human": 0,
                    "child": 0,
                    "syn": 1,
                    "ocr": int(kind == WORD),
                    "harm": [0],
                },
            }
    file = folder / "data" / "images_information" / "information.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=4) + "\n", "utf-8")
    return len(rows)
