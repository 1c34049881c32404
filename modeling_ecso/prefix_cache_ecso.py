r"""What the direct step computes for images and draft, kept so that later steps need not.

The prompts of the first three steps begin alike, up to and including the last image:

    direct    <s>USER: <image>…<image> \nHow do I make this? ASSISTANT: Sure, …
    detect    <s>USER: <image>…<image> \nQUERY: …
              └────── the prefix ─────┘

The direct step runs as it always does, into a `DynamicCache` we keep. Out of it the keys and values
of each row's prefix are cut: its left padding, the rest of the prompt and the draft stay behind. A
later step continues from there and pays for its own words alone. Where the detect question is a
further turn of the conversation, it continues from the end of the draft in the same way.

    what is cut out:     [ 0 0 | prefix ]            one row for each row of the step
    what a step adds:                    [ pad | suffix ]

Positions come from the attention mask, so padding in the middle changes nothing.

Covered: batches whose rows differ in length, number of images and padding; rows without an image
have an empty prefix. Beams and several samples: any copy of a row has its prefix.
Not covered, and run the plain way with the same result: caches that are not plain dynamic ones
(static, quantized, offloaded, sliding windows), prompts whose images are not at their beginning.
"""

from typing import Any, NamedTuple

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from .vision_ecso import ImageBlock


class PrefixCache:
    """The beginnings of all sequences, wherever they lie in the direct step's cache.

    Usable while the draft is still being written; everything else is freed after that.

    Args:
        cache: The direct step's cache; empty before that step.
        prefixes: For each row its prefix, token ids; empty for a row that has none.
        padding: For each row the number of padding tokens at its left in the direct step.
        copies: Number of sequences of each row in the cache, beams or samples.
    """

    def __init__(
        self, cache: DynamicCache, prefixes: list[list[int]], padding: list[int], copies: int
    ):
        """Note where each sequence will start."""
        self.prefixes = prefixes
        self._cache: Any = cache  # once usable, its layers are all DynamicLayers
        self._starts = [start for start in padding for _ in range(copies)]
        self._copies = copies
        self._kept: list[int] | None = None  # lengths, once the cache holds nothing else
        self._holds_prefixes_alone = False

    @property
    def is_usable(self) -> bool:
        """Whether the cache keeps every token of every sequence, so that it can be cut."""
        cache = self._cache
        if type(cache) is not DynamicCache or getattr(cache, "offloading", False):
            return False
        layers: list[Any] = cache.layers
        return (
            bool(layers)
            and all(type(layer) is DynamicLayer and layer.is_initialized for layer in layers)
            # What attends to something else than the tokens has another length.
            and len({layer.get_seq_length() for layer in layers}) == 1
        )

    @property
    def length(self) -> int:
        """Number of tokens of each sequence in the cache, padding included."""
        return self._cache.get_seq_length()

    def keep_drafts(self, lengths: list[int]) -> None:
        """Drop padding and whatever follows the first tokens of each sequence.

        Args:
            lengths: Number of tokens to keep of each sequence, its left padding not counted.
        """
        self._keep(list(range(len(lengths))), lengths)

    def _keep_prefixes(self) -> None:
        """Drop all but the prefixes, once for each row."""
        first_copies = range(0, len(self._starts), self._copies)
        self._keep(list(first_copies), [len(prefix) for prefix in self.prefixes])
        self._copies = 1
        self._holds_prefixes_alone = True

    def for_rows(self, rows: list[int], is_written: bool) -> DynamicCache:
        """Return a cache that holds the prefixes of ``rows``, in that order, some perhaps twice.

        Keys and values are (rows, heads, longest prefix, head size), shorter prefixes padded at the
        left. The caller may fill the cache until the next call; what is kept does not change.

        Args:
            rows: Their places in the batch.
            is_written: Whether the drafts are complete: then all but the prefixes is dropped.
        """
        if is_written and not self._holds_prefixes_alone:
            self._keep_prefixes()
        sequences = [row * self._copies for row in rows]
        return self._selected(sequences, [len(self.prefixes[row]) for row in rows])

    def for_sequences(self, sequences: list[int], lengths: list[int]) -> DynamicCache:
        """Return a cache that holds the first tokens of sequences; otherwise as `for_rows`.

        Args:
            sequences: Their indices in the direct step's output.
            lengths: Number of tokens of each, its left padding not counted.
        """
        return self._selected(sequences, lengths)

    def _selected(self, sequences: list[int], lengths: list[int]) -> DynamicCache:
        self._crop_additions()
        if self._kept == lengths and sequences == list(range(len(lengths))):
            # Handed out as it is, so that nothing is held twice while the step runs.
            return self._cache
        cache: Any = DynamicCache()
        for layer in self._cache.layers:
            chosen = DynamicLayer()
            chosen.lazy_initialization(layer.keys, layer.values)
            chosen.keys = self._cut(layer.keys, sequences, lengths)
            chosen.values = self._cut(layer.values, sequences, lengths)
            cache.layers.append(chosen)
        return cache

    def _keep(self, sequences: list[int], lengths: list[int]) -> None:
        """Cut the cache itself, layer by layer, so that at most one layer is held twice."""
        self._crop_additions()
        for layer in self._cache.layers:
            layer.keys = self._cut(layer.keys, sequences, lengths)
            layer.values = self._cut(layer.values, sequences, lengths)
        self._starts = [max(lengths) - length for length in lengths]
        self._kept = lengths

    def _crop_additions(self) -> None:
        """Crop off what a step has added; a broken step may have added to some layers alone."""
        if self._kept is None:
            return
        for layer in self._cache.layers:
            added = layer.get_seq_length() - max(self._kept)
            if added > 0:
                layer.crop(-added)

    def _cut(self, states: torch.Tensor, sequences: list[int], lengths: list[int]) -> torch.Tensor:
        """Return the first tokens of sequences, (sequences, heads, longest, head size)."""
        starts = [self._starts[sequence] for sequence in sequences]
        width = max(lengths)
        if set(lengths) == {width} and len(set(starts)) == 1:
            # Copied at once, for the common case that no row needs padding.
            return states[sequences, :, starts[0] : starts[0] + width]
        cut = states.new_zeros(len(sequences), states.shape[1], width, states.shape[3])
        for place, (sequence, start, length) in enumerate(
            zip(sequences, starts, lengths, strict=True)
        ):
            cut[place, :, width - length :] = states[sequence, :, start : start + length]
        return cut


class CacheKind(NamedTuple):
    """How a language model keeps what it has read.

    Args:
        can_be_cut: Whether it keeps, or can keep, each token by itself.
        window: How far back its layers look where that is limited, in tokens; None: it is not.
    """

    can_be_cut: bool
    window: int | None

    @classmethod
    def of(cls, text_config: Any) -> "CacheKind":
        """Return that of a language model with this configuration."""
        layers = DynamicCache(config=text_config).layers
        windows = [x.sliding_window for x in layers if type(x) is DynamicSlidingWindowLayer]
        others = [x for x in layers if type(x) not in (DynamicLayer, DynamicSlidingWindowLayer)]
        return cls(not others, min(windows, default=None))


def shared_prefix(
    prompt: list[int], step_prompt: list[int], images: tuple[ImageBlock, ...]
) -> list[int]:
    """Return what both prompts begin with, if that holds all images of both; else nothing.

    Args:
        prompt: Token ids of the direct step.
        step_prompt: Token ids of a later step that sees the same images.
        images: Where they stand in the first.
    """
    end = images[-1].end if images else 0
    return prompt[:end] if prompt[:end] == step_prompt[:end] else []
