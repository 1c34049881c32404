"""Fine-tunes the tiny model on what `ecso datagen` makes of its own unsafe answers.

Run as ``python -m examples.training.finetune.run --out build/finetune``.

The pairs that make the data are ones that training knew, each with a new image; the harmless
rate is measured on held-out pairs, before and after. Benign pairs with their right answers are
mixed in, as the paper mixes in instruction data: refusals alone teach a model to refuse everything.
"""

import argparse
import hashlib
import json
import random
import time
from pathlib import Path

import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from modeling_ecso.cli import main as ecso
from modeling_ecso.loading.models import TINY_FOLDER

from ..tiny.build_model import PATCHES
from ..tiny.classroom import answer_logits
from ..tiny.drawing import KINDS, Scene, draw
from ..tiny.encoder import Encoder
from ..tiny.examples_of_world import Example
from ..tiny.language import REQUESTS, is_correct_answer, is_harmful_answer, is_held_out
from ..tiny.measure import Pair, Speaker, held_out_pairs
from ..tiny.schedule import set_learning_rate
from ..tiny.shapes import BENIGN_THINGS, COLOURS, HARMFUL_THINGS
from ..tiny.tower import patch_features


BATCH_SIZE = 16
PEAK_LEARNING_RATE = 3e-4


def main() -> None:
    """Make the data, train on it, measure, and print what changed."""
    options = _options()
    torch.manual_seed(0)
    generator = random.Random("finetune")
    options.out.mkdir(parents=True, exist_ok=True)
    _write_pairs(options.out, options.pairs, generator)
    command = ["datagen", "--model", options.model, "--images", options.out / "images"]
    command += ["--queries", options.out / "queries.jsonl", "--out", options.out / "data.json"]
    if ecso([str(word) for word in command]):
        raise SystemExit(1)
    data = json.loads((options.out / "data.json").read_text("utf-8"))
    examples = [_read(entry, options.out / "images") for entry in data]
    examples += [_benign_example(generator) for _ in examples]
    speaker = Speaker(options.model)
    weights = (options.model / "model.safetensors").read_bytes()
    results = {
        "model_sha256": hashlib.sha256(weights).hexdigest(),
        "unsafe_pairs_learned_from": len(data),
        "before": _measure(speaker, options.limit),
    }
    _train(speaker, examples, options.minutes, generator)
    speaker.model.save_pretrained(options.out / "model")
    speaker.processor.save_pretrained(options.out / "model")
    results["after"] = _measure(Speaker(options.out / "model"), options.limit)
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(f"learned from {len(data)} unsafe pairs")
    for name in results["before"]:
        print(f"{name:32} {results['before'][name]:7.1%} -> {results['after'][name]:7.1%}")


def _write_pairs(folder: Path, count: int, generator: random.Random) -> None:
    """Draw pairs that training knew, and write the file that `ecso datagen` reads."""
    (folder / "images").mkdir(exist_ok=True)
    lines = []
    for number in range(count):
        pair = _known_pair(HARMFUL_THINGS if number % 4 else BENIGN_THINGS, generator)
        name = f"{number:05d}.png"
        pair.image.save(folder / "images" / name)
        lines.append(json.dumps({"image": name, "query": pair.request.with_image}) + "\n")
    (folder / "queries.jsonl").write_text("".join(lines), "utf-8")


def _known_pair(things: dict, generator: random.Random) -> Pair:
    """Return a new image and a request that training may put together with it."""
    scene = Scene(*map(generator.choice, (list(things), list(COLOURS), KINDS)))
    requests = [request for request in REQUESTS if not is_held_out(scene.thing, request)]
    return Pair(scene, generator.choice(requests), draw(scene, generator).image)


def _read(entry: dict, images: Path) -> tuple[Image.Image, Example]:
    """Return a conversation in LLaVA's format as an example with its image."""
    human, gpt = (turn["value"] for turn in entry["conversations"])
    with Image.open(images / entry["image"]) as image:
        return image.convert("RGB"), Example(human.removeprefix("<image>\n"), gpt, True)


def _benign_example(generator: random.Random) -> tuple[Image.Image, Example]:
    """Return a benign request about a new image, with its right answer."""
    while True:
        things = generator.choice((BENIGN_THINGS, HARMFUL_THINGS))
        pair = _known_pair(things, generator)
        if not pair.is_harmful:
            answer = pair.request.answer_about(pair.scene)
            return pair.image, Example(pair.request.with_image, answer, True)


def _train(
    speaker: Speaker,
    examples: list[tuple[Image.Image, Example]],
    minutes: float,
    generator: random.Random,
) -> None:
    """Train the decoder on the answers; what the tower sees stays as it is."""
    model, encoder = speaker.model, Encoder(speaker.processor, PATCHES)
    images = [image for image, _ in examples]
    pixels = speaker.processor.image_processor(images, return_tensors="pt").pixel_values
    with torch.no_grad():
        seen = torch.cat(
            [patch_features(model.model.vision_tower, part) for part in pixels.split(64)]
        )
    learned = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=PEAK_LEARNING_RATE, weight_decay=0.0)
    model.train()
    started = time.monotonic()
    while (progress := (time.monotonic() - started) / (minutes * 60)) < 1:
        set_learning_rate(optimizer, PEAK_LEARNING_RATE, progress)
        chosen = generator.choices(range(len(examples)), k=BATCH_SIZE)
        batch = encoder.batch([[examples[index][1]] for index in chosen])
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(*answer_logits(model, batch, seen[chosen])).backward()
        optimizer.step()
    model.eval()


def _measure(speaker: Speaker, limit: int | None) -> dict[str, float]:
    """Return, by kind of image, the rates of direct answers to held-out pairs."""
    rates = {}
    for kind in KINDS:
        pairs = held_out_pairs(kind)
        if limit is not None:
            pairs = random.Random(0).sample(pairs, limit)
        queries = [pair.request.with_image for pair in pairs]
        answers = speaker.ask(queries, [pair.image for pair in pairs])
        told = list(zip(pairs, answers, strict=True))
        harmless = [not is_harmful_answer(answer) for pair, answer in told if pair.is_harmful]
        correct = [
            is_correct_answer(answer, pair.request, pair.scene)
            for pair, answer in told
            if not pair.is_harmful
        ]
        rates[f"{kind}, harmful: harmless"] = sum(harmless) / len(harmless)
        rates[f"{kind}, benign: correct"] = sum(correct) / len(correct)
    return rates


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--model", type=Path, default=TINY_FOLDER, help="checkpoint folder")
    parser.add_argument("--pairs", type=int, default=600, help="pairs to make data from")
    parser.add_argument("--minutes", type=float, default=2, help="time for training")
    parser.add_argument("--limit", type=int, help="a quick look at that many held-out pairs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
