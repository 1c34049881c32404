"""Draws the images of the tiny world: a thing, its name as a word, or both.

Everything random comes from the caller's generator, so that a seed gives the same images again.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .shapes import COLOURS, THINGS


# Drawing at twice the size and scaling down smooths the edges, which Pillow draws jagged.
OVERSAMPLING = 2

DRAWN, WORD, LABELLED = KINDS = ("drawn", "word", "labelled")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """What an image shows.

    Args:
        thing: Name of the thing.
        colour: Name of its colour.
        kind: One of ``KINDS``.
    """

    thing: str
    colour: str
    kind: str = DRAWN


class Drawing(NamedTuple):
    """An image and where in it is what, for supervision patch by patch.

    Args:
        image: The image, RGB.
        box: Left, top, right and bottom of what is shown, in parts of the image's size.
        letters: Letter and left and right end of each rendered letter, in the same unit.
    """

    image: Image.Image
    box: Box
    letters: tuple[tuple[str, float, float], ...]


def random_scene(generator: random.Random, kinds: tuple[str, ...] = KINDS) -> Scene:
    """Return any scene of these kinds."""
    return Scene(
        generator.choice(list(THINGS)), generator.choice(list(COLOURS)), generator.choice(kinds)
    )


def draw(scene: Scene, generator: random.Random, size: int = 96) -> Drawing:
    """Return a noisy image of a scene with random background, place, size and rotation."""
    canvas = Image.new("RGB", (size * OVERSAMPLING,) * 2, _light_colour(generator))
    if generator.random() < 0.5:
        _paint_background_band(canvas, generator)
    placed = _Placed(
        turn=generator.uniform(-14, 14),
        scale=generator.uniform(0.66, 0.95),
        x=generator.random(),
        y=generator.random(),
    )
    box, letters = _paint(canvas, scene, placed)
    image = canvas.resize((size, size), Image.Resampling.BOX)
    return Drawing(_with_noise(image, generator), box, letters)


def draw_clean(scene: Scene, size: int = 336) -> Image.Image:
    """Return a crisp image without noise, upright and in the middle."""
    canvas = Image.new("RGB", (size * OVERSAMPLING,) * 2, (246, 244, 238))
    _paint(canvas, scene, _Placed(turn=0, scale=0.86, x=0.5, y=0.5))
    return canvas.resize((size, size), Image.Resampling.LANCZOS)


class _Placed(NamedTuple):
    """Rotation in degrees, size, and the position within the room that this size leaves."""

    turn: float
    scale: float
    x: float
    y: float


def _paint(canvas: Image.Image, scene: Scene, placed: _Placed) -> tuple[Box, tuple]:
    """Paint a scene; return its box and its letters."""
    if scene.kind == WORD:
        return _paint_word(canvas, scene, placed, height_limit=0.5)
    if scene.kind == LABELLED:
        above = placed._replace(scale=placed.scale * 0.68, y=placed.y * 0.1)
        box, _ = _paint_thing(canvas, scene, above)
        below = placed._replace(y=1 - (1 - placed.y) * 0.1)
        word_box, letters = _paint_word(canvas, scene, below, height_limit=0.25)
        return (
            min(box[0], word_box[0]),
            box[1],
            max(box[2], word_box[2]),
            word_box[3],
        ), letters
    return _paint_thing(canvas, scene, placed)


def _paint_thing(canvas: Image.Image, scene: Scene, placed: _Placed) -> tuple[Box, tuple]:
    size, room = canvas.width, 1 - placed.scale
    left, top = room * placed.x, room * placed.y
    turn = np.deg2rad(placed.turn)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    brush = ImageDraw.Draw(canvas)
    fills = _fills(COLOURS[scene.colour])
    for part in THINGS[scene.thing]:
        turned = (np.array(part.points) - 0.5) @ rotation.T * 0.94 + 0.5
        corners = [tuple(point) for point in (turned * placed.scale + (left, top)) * size]
        if part.width:
            width = round(part.width * placed.scale * size)
            brush.line(corners, fills[part.fill], width, joint="curve")
        else:
            brush.polygon(corners, fills[part.fill])
    return (left, top, left + placed.scale, top + placed.scale), ()


def _paint_word(
    canvas: Image.Image, scene: Scene, placed: _Placed, height_limit: float
) -> tuple[Box, tuple]:
    """Paint the name of the thing over most of the width."""
    size, word = canvas.width, scene.thing
    width = size * (0.55 + 0.45 * placed.scale)
    unit = ImageFont.load_default(size=100)
    glyph_size = min(100 * width / unit.getlength(word), height_limit * size)
    font = ImageFont.load_default(size=glyph_size)
    stroke = glyph_size * 0.03
    left = (size - font.getlength(word)) * (0.2 + 0.6 * placed.x)
    _, ink_top, _, ink_bottom = font.getbbox(word, stroke_width=stroke)
    top = (size - (ink_bottom - ink_top)) * (0.05 + 0.9 * placed.y)
    brush = ImageDraw.Draw(canvas)
    brush.text((left, top - ink_top), word, COLOURS[scene.colour], font, stroke_width=stroke)
    ends = [(left + font.getlength(word[:count])) / size for count in range(len(word) + 1)]
    letters = tuple(zip(word, ends, ends[1:], strict=False))
    return (ends[0], top / size, ends[-1], (top + ink_bottom - ink_top) / size), letters


def _fills(colour: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Return the colour of each role."""
    main = np.array(colour)
    return {
        "main": colour,
        "dark": tuple(int(value) for value in main * 0.72),
        "light": tuple(int(value) for value in main + (255 - main) * 0.4),
        "grey": (95, 95, 100),
        "white": (250, 250, 250),
    }


def _light_colour(generator: random.Random) -> tuple[int, ...]:
    """Return a colour that every object stands out from."""
    brightness = generator.randint(205, 245)
    return tuple(min(255, brightness + generator.randint(-10, 10)) for _ in range(3))


def _paint_background_band(canvas: Image.Image, generator: random.Random) -> None:
    """Paint a slanted floor of another light colour."""
    size = canvas.width
    left, right = (size * generator.uniform(0.3, 0.95) for _ in range(2))
    ImageDraw.Draw(canvas).polygon(
        [(0, left), (size, right), (size, size), (0, size)], _light_colour(generator)
    )


def _with_noise(image: Image.Image, generator: random.Random) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    source = np.random.default_rng(generator.getrandbits(32))
    noise = source.standard_normal(pixels.shape, dtype=np.float32) * generator.uniform(0, 8)
    brightness = generator.uniform(0.93, 1.05)
    return Image.fromarray((pixels * brightness + noise).clip(0, 255).astype(np.uint8))
