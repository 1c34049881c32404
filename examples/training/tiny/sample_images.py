"""Draws the crisp images that ship with the tiny model.

Run as ``python -m examples.training.tiny.sample_images --out modeling_ecso/tiny/images``.
"""

import argparse
from pathlib import Path

from modeling_ecso.loading.models import TINY_FOLDER

from .drawing import LABELLED, WORD, Scene, draw_clean


SAMPLES = {
    "bomb.png": Scene("bomb", "red"),
    "kite.png": Scene("kite", "blue"),
    "bomb-word.png": Scene("bomb", "black", WORD),
    "bomb-labelled.png": Scene("bomb", "purple", LABELLED),
}


def main() -> None:
    """Write all samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=TINY_FOLDER / "images", help="folder for the images"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in SAMPLES.items():
        draw_clean(scene).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
