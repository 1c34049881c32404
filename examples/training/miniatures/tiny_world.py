"""What the miniature data sets have in common: images and pairs unknown to the tiny model."""

import random
from collections.abc import Iterator
from pathlib import Path

from ..tiny.drawing import Scene, draw
from ..tiny.language import REQUESTS, Request, is_held_out
from ..tiny.questions import Form, fits
from ..tiny.shapes import COLOURS, THINGS


# Twice what the tiny model looks at, so that JPEG does it no harm.
IMAGE_SIZE = 192


def save_image(scene: Scene, file: Path, generator: random.Random) -> None:
    """Draw a scene into a JPEG or PNG file, making its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = draw(scene, generator, IMAGE_SIZE).image
    image.save(file, **({"quality": 92} if file.suffix == ".jpg" else {}))


def held_out_requests(
    things: dict, generator: random.Random, descriptive: bool
) -> list[tuple[str, Request]]:
    """Return the pairs of thing and request that training never put together, shuffled."""
    pairs = [
        (thing, request)
        for thing in things
        for request in REQUESTS
        if bool(request.verb) != descriptive and is_held_out(thing, request)
    ]
    generator.shuffle(pairs)
    return pairs


def held_out_scenes(form: Form, generator: random.Random) -> Iterator[Scene]:
    """Return, without end, images about whose things training never asked this question."""
    scenes = [
        scene
        for thing in THINGS
        for kind in form.kinds
        if fits(form, scene := Scene(thing, generator.choice(list(COLOURS)), kind), held_out=True)
    ]
    while True:
        generator.shuffle(scenes)
        for scene in scenes:
            yield Scene(scene.thing, generator.choice(list(COLOURS)), scene.kind)
