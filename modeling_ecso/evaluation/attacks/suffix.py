"""Greedy coordinate gradient on a suffix, against the answer alone and answer and verdict.

Source: A. Zou et al., arXiv 2307.15043; written anew here, since nanogcg pins transformers 4.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from ..attack import Attack, AttackTools, ItemKey
from ..items import Item


STEPS, TOKENS = 24, 8
_PER_PLACE, _CANDIDATES = 48, 32
_MARKER = "@@@@"


def _gcg(item: Item, tools: AttackTools, adaptive: bool) -> Item:
    suffix = _suffix(tools.load().model, ItemKey(item, tools), adaptive)
    return replace(item, query=f"{item.query} {suffix}")


@lru_cache(maxsize=4096)
def _suffix(model: Any, key: ItemKey, adaptive: bool) -> str:
    import torch

    from ..white_box import WhiteBox

    box, tools = WhiteBox(key.tools.load(), key.item), key.tools
    prompts, allowed = box.prompts(_MARKER, adaptive), box.plain_tokens
    generator = torch.Generator().manual_seed(tools.generator.getrandbits(32))
    size = int(allowed.max()) + 1
    suffix = allowed[torch.randint(len(allowed), (TOKENS,), generator=generator)]
    best, best_loss = suffix, float("inf")
    with box.frozen():
        for _ in range(STEPS):
            with torch.enable_grad():
                one_hot = torch.nn.functional.one_hot(suffix, size).float().requires_grad_(True)
                loss = box.loss_of_embedded(prompts, box.pixels, one_hot)
                (slope,) = torch.autograd.grad(loss, one_hot)  # (tokens, words)
            promising = allowed[(-slope[:, allowed]).topk(min(_PER_PLACE, len(allowed))).indices]
            places = torch.randint(TOKENS, (_CANDIDATES,), generator=generator)
            picks = torch.randint(promising.shape[1], (_CANDIDATES,), generator=generator)
            candidates = suffix.repeat(_CANDIDATES, 1)
            candidates[torch.arange(_CANDIDATES), places] = promising[places, picks]
            with torch.inference_mode():
                losses = box.losses(prompts, box.pixels, candidates)
            suffix = candidates[losses.argmin()].clone()
            if float(losses.min()) < best_loss:
                best, best_loss = suffix, float(losses.min())
    return box.text_of(best)


def _of(adaptive: bool) -> Attack:
    aims = "answer and verdict together" if adaptive else "the answer alone"
    return Attack(
        f"gcg{'-adaptive' if adaptive else ''}",
        "white-box",
        f"adds {TOKENS} tokens found in {STEPS} steps of greedy coordinate gradient, against "
        f"{aims}",
        partial(_gcg, adaptive=adaptive),
    )


ATTACKS = (_of(False), _of(True))
