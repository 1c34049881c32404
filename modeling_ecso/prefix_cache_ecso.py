r"""The images, prefilled once: what the direct step computes for them serves detect and caption.

The prompts of the first three steps begin alike, up to and including the last image:

    direct    <s>USER: <image>…<image> \nHow do I make this? ASSISTANT: Sure, …
    detect    <s>USER: <image>…<image> \nQUERY: …
              └────── the prefix ─────┘

The direct step runs as it always does, into a `DynamicCache` we keep. Then the keys and values of
each row's prefix are cut out of it: its left padding, the rest of the prompt and the whole draft
are gone. A later step continues from there and pays for its own words alone.

    what is kept:        [ 0 0 | prefix ]            one row for each row of the batch
    what a step adds:                    [ pad | suffix ]

Positions come from the attention mask, so padding in the middle changes nothing.

Covered: batches whose rows differ in length, number of images and padding; rows without an image
have an empty prefix. Beams and several samples: any copy of a row has its prefix.
Not covered, and run the plain way with the same result: caches that are not plain dynamic ones
(static, quantized, offloaded, sliding windows), prompts whose images are not at their beginning.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


class PrefixCache:
    """Keys and values of the prefixes of all rows, (rows, heads, longest prefix, head size).

    Args:
        cache: The direct step's cache, prompts and drafts of all sequences; it is taken apart.
        prefixes: For each row its prefix, token ids; empty for a row that has none.
        padding: For each row the number of padding tokens at its left in the direct step.
        copies: Number of sequences of each row in the cache, beams or samples.
    """

    def __init__(
        self, cache: DynamicCache, prefixes: list[list[int]], padding: list[int], copies: int
    ):
        """Cut the prefixes out of the cache, layer by layer, so that nothing is held twice."""
        self.prefixes = prefixes
        self.length = max(map(len, prefixes))
        for layer in cache.layers:
            layer.keys = self._cut(layer.keys, padding, copies)
            layer.values = self._cut(layer.values, padding, copies)
        self._cache = cache

    @staticmethod
    def can_share(cache: Any) -> bool:
        """Return whether a cache keeps every token of every sequence, ready to be cut."""
        return (
            type(cache) is DynamicCache
            and bool(cache.layers)
            and not getattr(cache, "offloading", False)
            and all(type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers)
        )

    def for_rows(self, rows: list[int]) -> DynamicCache:
        """Return a cache that holds the prefixes of ``rows``, in that order, some perhaps twice.

        The caller may fill it; the prefixes kept here do not change.
        """
        cache = DynamicCache()
        for layer in self._cache.layers:
            cache.layers.append(self._layer_for(layer, rows))
        return cache

    def _layer_for(self, layer: DynamicLayer, rows: list[int]) -> DynamicLayer:
        chosen = DynamicLayer()
        chosen.lazy_initialization(layer.keys, layer.values)
        if rows == list(range(len(self.prefixes))):
            # Growing a dynamic layer makes a new tensor, so all rows can be lent as they are.
            chosen.keys, chosen.values = layer.keys, layer.values
        else:
            index = torch.tensor(rows, device=layer.keys.device)
            chosen.keys, chosen.values = layer.keys[index], layer.values[index]
        return chosen

    def _cut(self, states: torch.Tensor, padding: list[int], copies: int) -> torch.Tensor:
        """Return (rows, heads, longest prefix, head size), shorter prefixes padded at the left."""
        cut = states.new_zeros(len(self.prefixes), states.shape[1], self.length, states.shape[3])
        for row, prefix in enumerate(self.prefixes):
            if prefix:
                start = padding[row]
                cut[row, :, self.length - len(prefix) :] = states[
                    row * copies, :, start : start + len(prefix)
                ]
        return cut


def shared_prefix(prompt: list[int], step_prompt: list[int], image_token_id: int) -> list[int]:
    """Return what both prompts begin with, if that holds all images of both; else nothing.

    Args:
        prompt: Token ids of the direct step.
        step_prompt: Token ids of a later step that sees the same images.
        image_token_id: The id that stands for image features.
    """
    end = len(prompt)
    while end and prompt[end - 1] != image_token_id:
        end -= 1
    if prompt[:end] != step_prompt[:end] or image_token_id in step_prompt[end:]:
        return []
    return prompt[:end]
