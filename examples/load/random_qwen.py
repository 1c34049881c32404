"""A random model of the geometry of Qwen2.5-VL, in the layout of the Qwen checkpoints.

    python -m examples.load.random_qwen DIR          # seconds

It says what no one understands, and other things of other pictures.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer

from examples.benchmark.patch_families import MERGED, build_patches
from examples.benchmark.shapes import Shape
from modeling_ecso.loading.models import TINY_FOLDER


SIDE, PATCH = 224, 14  # pixels
# Heads of a width that vLLM's kernels for CPUs know.
VISION, TEXT, FEED_FORWARD = (64, 2, 2), (128, 2, 4), 256
# With weights as small as they come, a model says one thing always.
LOUDNESS = 8
# Names that belong to LLaVA's processor.
NOT_OF_QWEN = ("image_token", "processor_class", "model_specific_special_tokens")


def write_random_qwen(folder: Path) -> None:
    """Write model and processor.

    Args:
        folder: Where to; made if it is not there.
    """
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER, trust_remote_code=False)
    shape = Shape(SIDE, PATCH, VISION, TEXT, FEED_FORWARD, 1024, family="patches")
    torch.manual_seed(0)
    model, processor = build_patches(shape, tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(LOUDNESS)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, getattr(tokenizer, name))
    model.save_pretrained(folder)
    tokenizer.chat_template = processor.chat_template
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text("utf-8"))
    kept = {key: value for key, value in config.items() if key not in NOT_OF_QWEN}
    file.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    images = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "patch_size": PATCH,
        "merge_size": MERGED,
        "temporal_patch_size": 2,
        "min_pixels": SIDE**2,
        "max_pixels": SIDE**2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(images, indent=2) + "\n", "utf-8")


def main() -> int:
    """Write the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write_random_qwen(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
