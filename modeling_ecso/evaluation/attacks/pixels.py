"""Projected gradient on the pixels, against the answer alone and against answer and verdict.

Source: A. Madry et al., arXiv 1706.06083; on vision-language models X. Qi et al., arXiv 2306.13213.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from ..attack import Attack, AttackTools, ItemKey
from ..attack_images import as_uri
from ..items import Item


STEPS = 60
_PER_STEP = 0.15  # of epsilon


def _pgd(item: Item, tools: AttackTools, levels: int, adaptive: bool) -> Item:
    return replace(
        item, image=_attacked_image(tools.load().model, ItemKey(item, tools), levels, adaptive)
    )


@lru_cache(maxsize=4096)
def _attacked_image(model: Any, key: ItemKey, levels: int, adaptive: bool) -> str:
    import torch

    from ..white_box import WhiteBox

    box, epsilon = WhiteBox(key.tools.load(), key.item), levels / 255
    prompts, start = box.prompts("", adaptive), box.pixels
    pixels = start.clone()
    with box.frozen(), torch.enable_grad():
        for _ in range(STEPS):
            pixels.requires_grad_(True)
            (slope,) = torch.autograd.grad(box.losses(prompts, pixels).sum(), pixels)
            moved = pixels.detach() - _PER_STEP * epsilon * slope.sign()
            pixels = (start + (moved - start).clamp(-epsilon, epsilon)).clamp(0, 1)
    return as_uri(box.image(pixels))


def _of(levels: int, adaptive: bool) -> Attack:
    aims = "answer and verdict together" if adaptive else "the answer alone"
    return Attack(
        f"pgd-{'adaptive-' if adaptive else ''}{levels}",
        "white-box",
        f"moves each pixel by up to {levels}/255 in {STEPS} steps of projected gradient, against "
        f"{aims}",
        partial(_pgd, levels=levels, adaptive=adaptive),
    )


ATTACKS = (_of(16, False), _of(8, True), _of(16, True), _of(32, True))
