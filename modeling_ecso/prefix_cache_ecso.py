r"""The images, prefilled once: what the direct step computes for them serves detect and caption.

The prompts of the first three steps begin alike, up to and including the last image:

    direct    <s>USER: <image>…<image> \nHow do I make this? ASSISTANT: Sure, …
    detect    <s>USER: <image>…<image> \nQUERY: …
              └────── the prefix ─────┘

The direct step runs as it always does, into a `DynamicCache` we keep. Out of it the keys and values
of each row's prefix are cut: its left padding, the rest of the prompt and the draft stay behind. A
later step continues from there and pays for its own words alone.

    what is cut out:     [ 0 0 | prefix ]            one row for each row of the step
    what a step adds:                    [ pad | suffix ]

Positions come from the attention mask, so padding in the middle changes nothing.

Covered: batches whose rows differ in length, number of images and padding; rows without an image
have an empty prefix. Beams and several samples: any copy of a row has its prefix.
Not covered, and run the plain way with the same result: caches that are not plain dynamic ones
(static, quantized, offloaded, sliding windows), prompts whose images are not at their beginning.
"""

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


class PrefixCache:
    """The prefixes of all rows of a batch, wherever they lie in the direct step's cache.

    Usable while the draft is still being written; `compact` frees everything else after that.

    Args:
        cache: The direct step's cache; empty before that step.
        prefixes: For each row its prefix, token ids; empty for a row that has none.
        padding: For each row the number of padding tokens at its left in the direct step.
        copies: Number of sequences of each row in the cache, beams or samples.
    """

    def __init__(
        self, cache: DynamicCache, prefixes: list[list[int]], padding: list[int], copies: int
    ):
        """Note where the prefixes will lie."""
        self.prefixes = prefixes
        self.length = max(map(len, prefixes))
        self._cache = cache
        self._starts = padding
        self._copies = copies
        self._is_compact = False

    @property
    def is_usable(self) -> bool:
        """Whether the cache keeps every token of every sequence, so that it can be cut."""
        cache = self._cache
        return (
            type(cache) is DynamicCache
            and bool(cache.layers)
            and not getattr(cache, "offloading", False)
            and all(type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers)
        )

    def compact(self) -> None:
        """Drop all but the prefixes, layer by layer, so that nothing is held twice."""
        rows = list(range(len(self.prefixes)))
        for layer in self._cache.layers:
            layer.keys, layer.values = self._cut(layer.keys, rows), self._cut(layer.values, rows)
        self._starts = [self.length - len(prefix) for prefix in self.prefixes]
        self._copies = 1
        self._is_compact = True

    def for_rows(self, rows: list[int]) -> DynamicCache:
        """Return a cache that holds the prefixes of ``rows``, in that order, some perhaps twice.

        Keys and values are (rows, heads, longest prefix, head size), shorter prefixes padded at the
        left. The caller may fill the cache until the next call; the prefixes do not change.
        """
        self._take_back()
        if self._is_compact and rows == list(range(len(self.prefixes))):
            # Lent as it is, so that the prefixes are not held twice while the step runs.
            return self._cache
        cache = DynamicCache()
        for layer in self._cache.layers:
            chosen = DynamicLayer()
            chosen.lazy_initialization(layer.keys, layer.values)
            chosen.keys, chosen.values = self._cut(layer.keys, rows), self._cut(layer.values, rows)
            cache.layers.append(chosen)
        return cache

    def _take_back(self) -> None:
        """Crop off what a borrower has added; a broken step may have added to some layers alone."""
        for layer in self._cache.layers if self._is_compact else ():
            added = layer.get_seq_length() - self.length
            if added > 0:
                layer.crop(-added)

    def _cut(self, states: torch.Tensor, rows: list[int]) -> torch.Tensor:
        cut = states.new_zeros(len(rows), states.shape[1], self.length, states.shape[3])
        for place, row in enumerate(rows):
            size, start = len(self.prefixes[row]), self._starts[row]
            if size:
                own = states[row * self._copies, :, start : start + size]
                cut[place, :, self.length - size :] = own
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
