"""MME in miniature: two questions to each image, one to be answered with yes and one with no.

Layout: one folder for each task. In five of them (the split layout) the images lie in ``images/``
and the texts in ``questions_answers_YN/``; in the others (flat) side by side. A text has two lines,
``question<TAB>Yes`` or ``No``.
"""

import random
from itertools import islice
from pathlib import Path

from ..tiny.questions import YES_NO_ENDING, YES_NO_FORMS
from .tiny_world import held_out_scenes, save_image


SPLIT_TASKS = ("artwork", "celebrity", "landmark", "posters", "scene")
PNG_TASKS = ("OCR", "code_reasoning", "numerical_calculation", "text_translation")


def write(folder: Path, size: int) -> int:
    """Write the data set; returns its number of questions.

    Args:
        folder: Where to.
        size: Images of each task.
    """
    for task, form in YES_NO_FORMS.items():
        generator = random.Random(f"mme {task}")
        images, texts = folder / task, folder / task
        if task in SPLIT_TASKS:
            images, texts = images / "images", texts / "questions_answers_YN"
        texts.mkdir(parents=True, exist_ok=True)
        ending = ".png" if task in PNG_TASKS else ".jpg"
        for number, scene in enumerate(islice(held_out_scenes(form, generator), size)):
            stem = f"{number:04d}"
            save_image(scene, images / f"{stem}{ending}", generator)
            answers = generator.sample(("Yes", "No"), 2)
            lines = [
                f"{form.asked(scene, answer == 'Yes', generator)}{YES_NO_ENDING}\t{answer}\n"
                for answer in answers
            ]
            (texts / f"{stem}.txt").write_text("".join(lines), "utf-8")
    return 2 * size * len(YES_NO_FORMS)
