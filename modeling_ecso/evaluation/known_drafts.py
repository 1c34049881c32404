"""The direct answers of a comparison, kept as the drafts of its protected runs.

Decoded greedily, a draft is what the model answers directly, token by token, so a comparison need
write it only once. Every run asks in the same way; what was written before is given again.

Covered: drafts that are judged while they are written are given piece by piece, and abandoned at
the same token.
Not covered: answers of an earlier process, which a resumed run finds in its log; they are written
anew.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers.generation import GenerateDecoderOnlyOutput


class DraftTime(NamedTuple):
    """What it took to write a draft: milliseconds of its batch, and the rows that shared them."""

    milliseconds: float
    rows: int


@dataclass(frozen=True, repr=False)
class _Draft:
    """Token ids of a draft, its end among them. Has no repr: it may be unsafe."""

    ids: list[int]
    time: DraftTime


class KnownDrafts:
    """Direct answers of one model, by what was asked."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[Hashable, _Draft] = {}

    def are_known(self, keys: Sequence[Hashable]) -> bool:
        """Return whether all of these were asked before."""
        return all(key in self._known for key in keys)

    def times(self, keys: Sequence[Hashable]) -> list[DraftTime]:
        """Return what known drafts took."""
        return [self._known[key].time for key in keys]

    def around(self, model: Any, generate: Any, keys: Sequence[Hashable]) -> "_WritesNothingTwice":
        """Return a plain `generate()` for one batch: gives what is known, keeps what it writes.

        Args:
            model: The model.
            generate: Its `PlainGenerate`.
            keys: What each row asks, and with which settings.
        """
        return _WritesNothingTwice(self._known, model, generate, keys)


class _WritesNothingTwice:
    """A `PlainGenerate`; with other settings than those of the call it is the model's own."""

    def __init__(
        self,
        known: dict[Hashable, _Draft],
        model: Any,
        generate: Any,
        keys: Sequence[Hashable],
    ):
        self._known, self._generate, self._keys = known, generate, keys
        self.with_config: Callable[..., Any] = generate.with_config
        settings = model.generation_config
        end_ids = settings.eos_token_id
        self._end_ids = [] if end_ids is None else torch.as_tensor(end_ids).flatten().tolist()
        self._pad = settings.pad_token_id
        if self._pad is None:
            self._pad = next(iter(self._end_ids), 0)

    def __call__(self, **arguments: Any) -> Any:
        if all(key in self._known for key in self._keys):
            return self._given([self._known[key].ids for key in self._keys], arguments)
        started = time.perf_counter()
        output = self._generate(**arguments)
        if not arguments.get("stopping_criteria"):  # else a draft may have been abandoned
            elapsed = DraftTime((time.perf_counter() - started) * 1000, len(self._keys))
            new = output.sequences[:, arguments["input_ids"].shape[1] :].tolist()
            for key, ids in zip(self._keys, new, strict=True):
                self._known[key] = _Draft(self._to_its_end(ids), elapsed)
        return output

    def _to_its_end(self, ids: list[int]) -> list[int]:
        end = next((place for place, token in enumerate(ids) if token in self._end_ids), len(ids))
        return ids[: end + 1]

    def _given(self, drafts: list[list[int]], arguments: dict[str, Any]) -> Any:
        """Return the drafts as the model would, each stopped where the call's criteria stop it."""
        prompts = arguments["input_ids"]
        longest = max(map(len, drafts))
        padded = [ids + [self._pad] * (longest - len(ids)) for ids in drafts]
        start = prompts.shape[1]
        sequences: Any = torch.cat([prompts, prompts.new_tensor(padded)], dim=1)
        is_stopped = torch.zeros(len(drafts), dtype=torch.bool, device=prompts.device)
        criteria = arguments.get("stopping_criteria") or ()
        for end in range(start + 1, sequences.shape[1]) if criteria else ():
            sequences[is_stopped, end - 1] = self._pad
            for criterion in criteria:
                is_stopped |= criterion(sequences[:, :end], None)
        sequences[is_stopped, -1] = self._pad
        return GenerateDecoderOnlyOutput(sequences=sequences)
