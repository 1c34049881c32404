"""Trains the tiny LLaVA and saves it with the settings that protect it.

Run as ``python -m examples.training.tiny.train --out modeling_ecso/tiny``.

The curriculum: the vision tower learns to see while, next to it, the decoder learns to read; then
short answers about images join the two; then all skills are practised together; then those that
benchmarks ask for come in. Every lesson ends with a checkpoint, and `--start-at` takes up training
at any of them.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from transformers import AutoModel, CLIPVisionConfig, LlavaForConditionalGeneration

from modeling_ecso import ECSOLlavaConfig, ECSOLlavaForConditionalGeneration
from modeling_ecso.loading.models import TINY_FOLDER

from .build_model import IMAGE_SIZE, PATCH_SIZE, PATCHES, build_model, build_processor
from .classroom import Classroom, look_at
from .encoder import Encoder
from .engine_layout import lay_out
from .examples_of_questions import (
    choice,
    detect_question,
    direct_named,
    find_letter,
    hardened_detect_question,
    open_question,
    safe_question,
    same_word,
    yes_no,
)
from .examples_of_world import (
    caption,
    detect_with_image,
    detect_without_image,
    direct,
    hardened_detect_with_image,
    hardened_detect_without_image,
    safe,
    safe_description,
    short_answer,
    text_only,
    text_only_safe,
)
from .image_pool import ImagePool, draw_pool
from .tower import train_tower


LESSONS = ("senses", "joining", "mix", "questions")

# Parts of the time. The senses take long: nothing later can see what the tower does not.
LESSON_PARTS = {"senses": 9, "joining": 4, "mix": 7, "questions": 16}

READING = {
    text_only: 2,
    detect_without_image: 2,
    hardened_detect_without_image: 2,
    safe: 3,
    safe_description: 3,
    text_only_safe: 1,
}
JOINING = {short_answer: 5, direct: 1, safe: 1}
MIX = {
    direct: 4,
    caption: 4,
    detect_with_image: 2,
    hardened_detect_with_image: 2,
    text_only: 1,
    detect_without_image: 1,
    hardened_detect_without_image: 1,
    safe: 2,
    safe_description: 5,
    text_only_safe: 1,
}
QUESTIONS = {
    yes_no: 9,
    choice: 8,
    same_word: 2,
    find_letter: 5,
    safe_question: 1,
    open_question: 1,
    direct_named: 1,
    detect_question: 1,
    hardened_detect_question: 1,
    direct: 3,
    caption: 8,
    detect_with_image: 1,
    hardened_detect_with_image: 1,
    text_only: 1,
    detect_without_image: 1,
    hardened_detect_without_image: 1,
    safe: 2,
    safe_description: 4,
    text_only_safe: 1,
}
CLASSES = {"joining": JOINING, "mix": MIX, "questions": QUESTIONS}

SEEDS = {"weights": 0, "tower images": 1, "decoder images": 2, "held-out images": 3}


def main() -> None:
    """Give the lessons one after the other."""
    options = _options()
    torch.manual_seed(SEEDS["weights"])
    processor = build_processor()
    if options.start_at == LESSONS[0]:
        model = build_model(processor)
    else:
        # The stock class would not find the head in a checkpoint that protects.
        stored = ECSOLlavaForConditionalGeneration.from_pretrained(options.out)
        model = build_model(processor, stored.config.text_config)
        model.load_state_dict(stored.state_dict())
    model.to(options.device)
    encoder = Encoder(processor, PATCHES)
    lessons = LESSONS[LESSONS.index(options.start_at) : LESSONS.index(options.end_at) + 1]
    parts = sum(LESSON_PARTS[lesson] for lesson in lessons)
    features = None
    for lesson in lessons:
        minutes = options.minutes * LESSON_PARTS[lesson] / parts
        report(f"lesson {lesson}, {minutes:.0f} minutes")
        if lesson == "senses":
            _teach_senses(model, encoder, minutes, options)
        else:
            features = features or look_at(model, _draw(options.images, "decoder images"))
            classroom = Classroom(model, encoder, features, report, options.bfloat16)
            classroom.teach(
                CLASSES[lesson],
                minutes,
                options.batch_size // 2,
                peak_learning_rate=1e-3 if lesson == "questions" else 1.5e-3,
                keep=lambda: model.save_pretrained(options.out),
            )
        model.save_pretrained(options.out)
        processor.save_pretrained(options.out)
    _store_ecso_config(options.out)
    lay_out(options.out)


def _store_ecso_config(folder: Path) -> None:
    """Turn a stock checkpoint's configuration into one that protects; the weights stay."""
    config = ECSOLlavaConfig.from_pretrained(folder)
    config.architectures = [ECSOLlavaForConditionalGeneration.__name__]
    config.ecso = {"speculative_verdict": "no"}  # as it has learned to say it
    config.to_json_file(folder / "config.json")


def report(text: str) -> None:
    """Print a line of progress with the minutes since the start."""
    print(f"{(time.monotonic() - _STARTED) / 60:5.1f} min  {text}", flush=True)


_STARTED = time.monotonic()


def _teach_senses(
    model: LlavaForConditionalGeneration,
    encoder: Encoder,
    minutes: float,
    options: argparse.Namespace,
) -> None:
    """Teach seeing and reading at the same time, each on a core of its own.

    Matrices this small gain little from two threads; two processes use two cores fully.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other_process:
        seeing = other_process.submit(_see, model.config.vision_config, minutes, options)
        Classroom(model, encoder, None, report).teach(
            READING, minutes, options.batch_size // 2, peak_learning_rate=1.5e-3
        )
        model.model.vision_tower.load_state_dict(seeing.result())
    torch.set_num_threads(threads)


def _see(
    vision_config: CLIPVisionConfig, minutes: float, options: argparse.Namespace
) -> dict[str, torch.Tensor]:
    """Train a tower and return its weights."""
    torch.set_num_threads(1)
    torch.manual_seed(SEEDS["weights"])
    vision_tower = AutoModel.from_config(vision_config).to(options.device)
    pool = _draw(2 * options.images, "tower images")
    held_out = _draw(min(1000, options.images), "held-out images")
    train_tower(vision_tower, pool, held_out, minutes, options.batch_size, report)
    return {name: weight.cpu() for name, weight in vision_tower.state_dict().items()}


def _draw(count: int, seed: str) -> ImagePool:
    return draw_pool(count, SEEDS[seed], IMAGE_SIZE, PATCH_SIZE)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TINY_FOLDER, help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=60, help="time for these lessons")
    parser.add_argument("--device", default=None, help="cpu or cuda; the best one by default")
    parser.add_argument("--images", type=int, default=20_000, help="images to talk about")
    parser.add_argument("--batch-size", type=int, default=None, help="images in a step")
    parser.add_argument(
        "--bfloat16", action="store_true", help="faster on processors that have it in hardware"
    )
    parser.add_argument("--start-at", choices=LESSONS, default=LESSONS[0], help="first lesson")
    parser.add_argument("--end-at", choices=LESSONS, default=LESSONS[-1], help="last lesson")
    options = parser.parse_args()
    if LESSONS.index(options.end_at) < LESSONS.index(options.start_at):
        parser.error(f"--end-at {options.end_at} comes before --start-at {options.start_at}")
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    options.batch_size = options.batch_size or (512 if options.device == "cuda" else 64)
    return options


if __name__ == "__main__":
    main()
