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
from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache

from .call_ecso import Call
from .requirements_ecso import CACHE_ARGUMENT
from .sharing_ecso import MAY_SHARE


# Takes the length of the beginning of some rows; returns arguments of generate() for them.
Beginnings = Callable[[dict[int, int]], dict[str, Any]]


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
            use_cache=True,
            logits_to_keep=1,
            **{CACHE_ARGUMENT: cache},
            **given,
        )
        with torch.no_grad():
            self._model(**prepared)
        return cache


def prefixes_first(
    call: Call, prefixes: list[list[int]], arguments: dict[str, Any], beginnings: Beginnings
) -> tuple[PrefixFirst | None, dict[str, Any]]:
    """Return the prefixes of a call and the direct step's arguments, which go on from them.

    Args:
        call: What was asked for.
        prefixes: For each row the ids of its prefix; empty for a row without images.
        arguments: Those of the direct step as they are.
        beginnings: Makes the arguments for beginnings of rows.

    Returns:
        None where this way of decoding has no use for them; and the arguments as they were where
        the direct step is to run the plain way.
    """
    model, request = call.model, call.request
    lengths = {row: len(prefix) for row, prefix in enumerate(prefixes) if prefix}
    if not lengths or request.sequences_per_row > 1 or request.image_tensors:
        return None, arguments
    seen = list(lengths)
    places = [seen.index(row) if row in lengths else None for row in range(len(request.rows))]
    first = PrefixFirst(model, beginnings(lengths), places)
    whole = {row: len(each.ids) for row, each in enumerate(request.rows)}
    # Nothing may lie between prefix and rest, so that all rests must be of one length.
    is_even = {whole[row] - lengths.get(row, 0) for row in whole} == {
        request.input_ids.shape[1] - first.width
    }
    shows_more = arguments.get("output_attentions") or arguments.get("output_hidden_states")
    if not is_even or None in places or shows_more or MAY_SHARE.get(model) is None:
        return first, arguments
    same = {**beginnings(whole), **arguments}  # the ids and the mask are the caller's own
    same.pop("mm_encoder_outputs", None)
    return first, {**same, CACHE_ARGUMENT: first.for_rows(list(whole))}
