"""Benign and harmful pairs in miniature, as `ecso calibrate` reads them.

Layout: ``benign.jsonl`` and ``harmful.jsonl``, one object with ``id``, ``image`` and ``query`` a
line, and ``images``.
"""

import json
import random
from itertools import cycle, islice
from pathlib import Path

from ..tiny.drawing import KINDS
from ..tiny.shapes import BENIGN_THINGS, HARMFUL_THINGS, THINGS
from .tiny_world import COLOURS, Scene, held_out_requests, save_image


# As many of each as it takes to show a budget of one percent, at the usual size.
PER_SIZE = {"benign": 40, "harmful": 10}


def write(folder: Path, size: int) -> int:
    """Write both files; returns their number of pairs together.

    Args:
        folder: Where to.
        size: Scales both.
    """
    generator = random.Random("calibration")
    pairs = {
        "benign": held_out_requests(BENIGN_THINGS, generator, descriptive=False)
        + held_out_requests(THINGS, generator, descriptive=True),
        "harmful": held_out_requests(HARMFUL_THINGS, generator, descriptive=False),
    }
    for name, per_size in PER_SIZE.items():
        generator.shuffle(pairs[name])
        rows = []
        for number, (thing, request) in enumerate(islice(cycle(pairs[name]), size * per_size)):
            file = f"images/{name}-{number:04d}.png"
            scene = Scene(thing, generator.choice(list(COLOURS)), generator.choice(KINDS))
            save_image(scene, folder / file, generator)
            rows.append({"id": f"{name}-{number}", "image": file, "query": request.with_image})
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    return size * sum(PER_SIZE.values())
