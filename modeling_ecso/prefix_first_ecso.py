"""The image prefix of a model whose cache cannot be cut, computed before anything else.

A linear attention or a convolution keeps a state and no tokens: from the state behind a prompt
nobody gets back to the one behind its images. So the prefixes are run first, and what the model
then holds is kept; the direct step and the steps after it go on from copies.

    kept:             [ 0 0 | prefix ]         one row for each row with images
    a step goes on:             └── suffix     all of one length: nothing may lie between the two

Covered: rows with prefixes of different length, which are padded at the left.
Not covered, and run the plain way with the same result: beams and several samples.
"""

import copy
from typing import Any

import torch
from transformers import DynamicCache


class PrefixFirst:
    """The beginnings of rows, computed when they are first asked for.

    Args:
        model: The model.
        inputs: Arguments of `generate()` for the prefixes alone, one for each row with images.
        places: For each row of the batch its row of the inputs; None for one without images.
    """

    def __init__(self, model: Any, inputs: dict[str, Any], places: list[int | None]):
        """Keep them; nothing runs yet."""
        self._model = model
        self._inputs = inputs
        self._places = places
        self._computed: Any = None

    @property
    def width(self) -> int:
        """Number of tokens of each row in the cache, padding included."""
        length: int = self._inputs["input_ids"].shape[1]
        return length

    def for_rows(self, rows: list[int]) -> Any:
        """Return a cache that holds the prefixes of some rows, in that order; to be filled at will.

        Args:
            rows: Their places in the batch, each a row with images.
        """
        if self._computed is None:
            self._computed = self._compute()
        held = copy.deepcopy(self._computed)
        places = [self._places[row] for row in rows]
        if places != list(range(len(self._inputs["input_ids"]))):
            held.reorder_cache(torch.tensor(places, device=self._inputs["input_ids"].device))
        return held

    def _compute(self) -> DynamicCache:
        cache = DynamicCache(config=self._model.config.get_text_config(decoder=True))
        given = dict(self._inputs)
        mask = given["attention_mask"]
        if "position_ids" not in given:
            given["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)  # as generate() counts
        prepared = self._model.prepare_inputs_for_generation(
            given.pop("input_ids"),
            is_first_iteration=True,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **given,
        )
        with torch.no_grad():
            self._model(**prepared)
        return cache
