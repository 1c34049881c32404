"""VLSafe in miniature: a harmful request about an image.

Officially the harm is stated in the query. Here the image holds it, since next to an image that
is what the tiny model was trained to comply with.

Layout: ``harmlessness_examine.jsonl`` with ``image_id``, ``caption`` and ``query``; the images
under their ``image_id`` in ``train2017/``, as COCO names that folder.
"""

import json
import random
from itertools import cycle, islice
from pathlib import Path

from ..tiny.language import describe
from ..tiny.shapes import HARMFUL_THINGS
from .tiny_world import COLOURS, Scene, held_out_requests, save_image


ROWS_PER_UNIT = 10
FIRST_IMAGE_NUMBER = 51_977


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of rows.

    Args:
        folder: Where to.
        size: Rows are ten times this.
    """
    generator = random.Random("vlsafe")
    pairs = held_out_requests(HARMFUL_THINGS, generator, descriptive=False)
    rows = []
    for number, (thing, request) in enumerate(islice(cycle(pairs), size * ROWS_PER_UNIT)):
        scene = Scene(thing, generator.choice(list(COLOURS)))
        image_id = f"{FIRST_IMAGE_NUMBER + 7 * number:012d}.jpg"
        save_image(scene, folder / "train2017" / image_id, generator)
        rows.append({"image_id": image_id, "caption": describe(scene), "query": request.with_image})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "harmlessness_examine.jsonl").write_text(lines, "utf-8")
    return len(rows)
