"""Images drawn ahead of training and kept in memory, since drawing costs more than looking."""

import multiprocessing
import random
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import torch

from .drawing import DRAWN, KINDS, LABELLED, WORD, Drawing, Scene, draw, random_scene
from .shapes import COLOURS, THINGS


THING_NAMES, COLOUR_NAMES = list(THINGS), list(COLOURS)

# Words are the hardest to see and labelled things the easiest.
KIND_SHARES = {DRAWN: 9, WORD: 9, LABELLED: 3}

# What a patch shows when it shows nothing.
NO_THING, NO_LETTER = len(THING_NAMES), len(ascii_lowercase)

CHUNK = 250


@dataclass
class ImagePool:
    """Images with what they show.

    Args:
        pixels: uint8, ``(images, 3, size, size)``.
        labels: Thing, colour and kind as numbers, ``(images, 3)``.
        patch_things: Number of the thing in each patch or ``NO_THING``, ``(images, patches)``.
        patch_letters: Number of the letter in each patch or ``NO_LETTER``.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    patch_things: torch.Tensor
    patch_letters: torch.Tensor

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    def scene(self, index: int) -> Scene:
        """Return what an image shows."""
        thing, colour, kind = self.labels[index].tolist()
        return Scene(THING_NAMES[thing], COLOUR_NAMES[colour], KINDS[kind])


def draw_pool(count: int, seed: int, size: int, patch_size: int, workers: int = 2) -> ImagePool:
    """Draw images of random scenes in several processes; a seed gives the same ones again."""
    jobs = [
        (seed * 1_000_003 + start, min(CHUNK, count - start), size, patch_size)
        for start in range(0, count, CHUNK)
    ]
    if len(jobs) == 1:  # drawn before another process had imported what it needs
        chunks = [_draw_chunk(jobs[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(workers) as processes:
            chunks = processes.map(_draw_chunk, jobs)
    fields = zip(*chunks, strict=True)
    return ImagePool(*(torch.from_numpy(np.concatenate(arrays)) for arrays in fields))


def to_pixel_values(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 pixels as the image processor would hand them to the model."""
    return pixels.float() / 127.5 - 1


def _draw_chunk(job: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
    seed, count, size, patch_size = job
    generator = random.Random(seed)
    kinds = tuple(kind for kind, share in KIND_SHARES.items() for _ in range(share))
    pixels, labels, things, letters = [], [], [], []
    for _ in range(count):
        scene = random_scene(generator, kinds)
        drawing = draw(scene, generator, size)
        thing = THING_NAMES.index(scene.thing)
        pixels.append(np.asarray(drawing.image).transpose(2, 0, 1))
        labels.append((thing, COLOUR_NAMES.index(scene.colour), KINDS.index(scene.kind)))
        patch_things, patch_letters = _patch_labels(drawing, scene, thing, size // patch_size)
        things.append(patch_things)
        letters.append(patch_letters)
    return (
        np.stack(pixels),
        np.array(labels, dtype=np.int64),
        np.stack(things),
        np.stack(letters),
    )


def _patch_labels(
    drawing: Drawing, scene: Scene, thing: int, patches: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the thing and the letter at the middle of every patch, row by row."""
    middles = (np.arange(patches) + 0.5) / patches
    left, top, right, bottom = drawing.box
    rows = (middles >= top) & (middles <= bottom)
    inside = rows[:, None] & (middles >= left) & (middles <= right)
    things = np.where(inside, thing, NO_THING)
    columns = np.full(patches, NO_LETTER)
    for letter, start, end in drawing.letters:
        columns[(middles >= start) & (middles < end)] = ascii_lowercase.index(letter)
    # The letters of a labelled thing are too small to be worth learning one by one.
    rows = rows if scene.kind == WORD else np.zeros_like(rows)
    letters = np.where(rows[:, None], columns[None, :], NO_LETTER)
    return things.reshape(-1), letters.reshape(-1)
