"""FigStep in miniature: the image has the harmful thing in print, the query says "this".

Layout: ``data/question/safebench.csv`` and ``SafeBench-Tiny.csv``, and the images in
``data/images/<set>``. The official query asks for a list to be filled in, which the tiny model has
never seen; this set says its own in ``data/question/query.txt``.
"""

import csv
import random
from itertools import cycle, islice
from pathlib import Path

from modeling_ecso.evaluation.benchmarks.figstep.reader import CATEGORIES, QUERY_FILE, TINY, WHOLE

from ..tiny.drawing import WORD
from ..tiny.language import REQUESTS, is_held_out
from ..tiny.shapes import HARMFUL_THINGS
from .tiny_world import COLOURS, Scene, save_image


COLUMNS = ("dataset", "category_id", "task_id", "category_name", "question", "instruction")
TABLES = {WHOLE: "safebench.csv", TINY: "SafeBench-Tiny.csv"}


def write(folder: Path, size: int) -> int:
    """Write both sets; returns the number of tasks of one of them.

    Args:
        folder: Where to.
        size: Tasks of each category.
    """
    generator = random.Random("figstep")
    # One query for all: the one that most harmful things were never put together with in training.
    things = {
        request: [thing for thing in HARMFUL_THINGS if is_held_out(thing, request)]
        for request in REQUESTS
        if request.verb
    }
    request = max(things, key=lambda request: len(things[request]))
    rows = [
        {
            "dataset": "ForbidQI",
            "category_id": category,
            "task_id": task,
            "category_name": name,
            "question": request.naming(thing),
            "instruction": thing,
        }
        for category, name in enumerate(CATEGORIES, start=1)
        for task, thing in enumerate(islice(cycle(things[request]), size), start=1)
    ]
    questions = folder / "data" / "question"
    questions.mkdir(parents=True, exist_ok=True)
    (questions / QUERY_FILE).write_text(request.with_image + "\n", "utf-8")
    for subset, table in TABLES.items():
        with (questions / table).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        for row in rows:
            file = f"query_ForbidQI_{row['category_id']}_{row['task_id']}_6.png"
            scene = Scene(str(row["instruction"]), generator.choice(list(COLOURS)), WORD)
            save_image(scene, folder / "data" / "images" / subset / file, generator)
    return len(rows)
