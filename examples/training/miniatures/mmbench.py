"""MMBench in miniature: questions with two to four options, in all rotations.

Layout: tab-separated tables of the development split, English and Chinese, each twice. The *legacy*
tables repeat the image (base64) in every row; those with VLMEvalKit's names hold it once, and
elsewhere the ``index`` of the row that has it. A rotation's ``index`` is that of its question plus
a multiple of a million.
"""

import base64
import csv
import io
import json
import random
from itertools import islice
from pathlib import Path

from ..tiny.questions import CHOICE_FORMS, LETTERS
from .tiny_world import IMAGE_SIZE, draw, held_out_scenes


COLUMNS = (
    ["index", "question", "hint", *LETTERS, "answer", "category", "image", "source"]
    + ["l2-category", "comment", "split"]
)  # fmt: skip

L2_CATEGORIES = {
    "image_style": "coarse_perception",
    "image_topic": "coarse_perception",
    "attribute_recognition": "finegrained_perception (instance-level)",
    "ocr": "finegrained_perception (instance-level)",
    "attribute_comparison": "finegrained_perception (cross-instance)",
    "function_reasoning": "attribute_reasoning",
    "structuralized_imagetext_understanding": "logic_reasoning",
    "physical_relation": "relation_reasoning",
}

LEGACY_FILES = {"en": "mmbench_dev_20230712.tsv", "cn": "mmbench_dev_cn_20231003.tsv"}
VLMEVALKIT_FILES = {"en": "MMBench_DEV_EN.tsv", "cn": "MMBench_DEV_CN.tsv"}

HINTS = {"en": "The picture shows one thing.", "cn": "图中只有一样东西。"}
HINT_SHARE = 0.2

ROTATION_STEP = 1_000_000


def write(folder: Path, size: int) -> int:
    """Write the tables; returns the number of rows of one of them.

    Args:
        folder: Where to.
        size: Questions of each category.
    """
    of_vlmevalkit = folder / "vlmevalkit"
    of_vlmevalkit.mkdir(parents=True, exist_ok=True)
    for language in LEGACY_FILES:
        rows = _rows(language, size)
        _write_table(folder / LEGACY_FILES[language], rows)
        whole = {row["index"]: row["image"] for row in rows if row["index"] < ROTATION_STEP}
        for row in rows:
            base = row["index"] % ROTATION_STEP
            row["image"] = whole[base] if row["index"] == base else str(base)
        _write_table(of_vlmevalkit / VLMEVALKIT_FILES[language], rows)
    # A folder says its own number of rows, where it is not the official one.
    (of_vlmevalkit / "counts.json").write_text(json.dumps({"rows": len(rows)}) + "\n", "utf-8")
    return len(rows)


def _rows(language: str, size: int) -> list[dict]:
    """Return all rows with their images, first the questions, then the rotations."""
    generator = random.Random("mmbench")
    rotations: list[list[dict]] = [[] for _ in LETTERS]
    index = 0
    for category, form in CHOICE_FORMS.items():
        for scene in islice(held_out_scenes(form, generator), size):
            image = io.BytesIO()
            draw(scene, generator, IMAGE_SIZE).image.save(image, "JPEG", quality=92)
            choice = form.options(scene, generator)
            has_hint = generator.random() < HINT_SHARE
            for turns in range(len(choice.options)):
                turned = choice.rotated(turns)
                row = {
                    "index": index + turns * ROTATION_STEP,
                    "question": form.question(language),
                    "hint": HINTS[language] if has_hint else "",
                    **dict(zip(LETTERS, turned.options, strict=False)),
                    "answer": turned.letter,
                    "category": category,
                    "image": base64.b64encode(image.getvalue()).decode(),
                    "source": "tiny world",
                    "l2-category": L2_CATEGORIES[category],
                    "comment": "",
                    "split": "dev",
                }
                rotations[turns].append(row)
            index += 1
    return [row for rows in rotations for row in rows]


def _write_table(file: Path, rows: list[dict]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(
            stream, COLUMNS, restval="", delimiter="\t", lineterminator="\n", quotechar='"'
        )
        table.writeheader()
        table.writerows(rows)
