"""Builds from a made-up sharded checkpoint of gigabytes; prints seconds and peak memory.

Run as ``python -m examples.publish.large_build``. The shards have the layout of LLaVA-1.5 and hold
zeros, most of them holes in the file, so that little of the disk is used.
"""

import argparse
import json
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from modeling_ecso.loading.models import TINY_FOLDER


RECIPE = Path(__file__).parents[2] / "configuration" / "recipes" / "llava-1.5-7b.yaml"
PARTS = ("vision_tower", "multi_modal_projector", "language_model.model")


def write_shard(file: Path, size_bytes: int, part: str) -> list[str]:
    """Write one safetensors file of zeros, float16; return the names of its tensors."""
    names = [f"{part}.layers.{number}.weight" for number in range(4)]
    rows = size_bytes // len(names) // 2 // 4096
    each = rows * 4096 * 2
    header = {
        name: {
            "dtype": "F16",
            "shape": [rows, 4096],
            "data_offsets": [place * each, (place + 1) * each],
        }
        for place, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + each * len(names))
    return names


def write_checkpoint(folder: Path, size_bytes: int) -> None:
    """Write a sharded checkpoint with the configuration and processor of the tiny model."""
    for file in TINY_FOLDER.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copyfile(file, folder / file.name)
    where = {}
    for number, part in enumerate(PARTS, start=1):
        name = f"model-{number:05}-of-{len(PARTS):05}.safetensors"
        for tensor in write_shard(folder / name, size_bytes // len(PARTS), part):
            where[tensor] = name
    index = {"metadata": {"total_size": size_bytes}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def main() -> None:
    """Write the checkpoint, build from it in a process of its own, print what that took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.2, help="size of the weights")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as work:
        checkpoint, recipe = Path(work) / "checkpoint", Path(work) / "large.yaml"
        checkpoint.mkdir()
        write_checkpoint(checkpoint, int(chosen.gigabytes * 1e9))
        recipe.write_text(RECIPE.read_text("utf-8").replace("weights: thin", "weights: copy"))
        command = [sys.executable, "-m", "hub_upload.command", "build", str(recipe)]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--base", str(checkpoint), "--out", str(Path(work) / "out")], check=True
        )
        seconds = time.perf_counter() - started
        built = sum(file.stat().st_size for file in (Path(work) / "out").glob("*.safetensors"))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    Console(highlight=False).print(
        f"{built / 1e9:.1f} GB of weights: {seconds:.1f} s, {cpu_s:.1f} s of them on the CPU, "
        f"peak memory {used.ru_maxrss / 1e3:.0f} MB"
    )


if __name__ == "__main__":
    main()
