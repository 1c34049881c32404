"""A draft that is judged while it is being written, and need not be written to its end."""

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import StoppingCriteria

from .call_ecso import Call


# Takes unfinished sequences, by index and ids so far; returns the indices of those to stop.
StopSequences = Callable[[dict[int, list[int]]], set[int]]


class Checkpoints(StoppingCriteria):
    """Asks, after given numbers of tokens, which sequences need not be written any further.

    Args:
        call: What was asked for.
        stop_sequences: Is asked.
        checkpoints: Numbers of tokens, less than an answer has at most.

    Attributes:
        seconds: Spent on questions, which are no part of the direct step.
    """

    def __init__(self, call: Call, stop_sequences: StopSequences, checkpoints: list[int]):
        """Nothing is asked yet."""
        request = call.request
        self.seconds = 0.0
        self._checkpoints = frozenset(checkpoints)
        self._ends = set(request.end_ids)
        self._prompt_length = request.input_ids.shape[1]
        self._stop_sequences = stop_sequences
        self._stopped: set[int] = set()
        self._ended: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each sequence whether it ends here, bool, (sequences,)."""
        if input_ids.shape[1] - self._prompt_length in self._checkpoints:
            started = time.perf_counter()
            new = input_ids[:, self._prompt_length :].tolist()
            unfinished = {
                index: ids
                for index, ids in enumerate(new)
                if index not in self._stopped and not self._ends & set(ids)
            }
            if unfinished:
                self._stopped |= self._stop_sequences(unfinished)
                self._ended = None
            self.seconds += time.perf_counter() - started
        if self._ended is None:  # made anew only after a checkpoint: this runs for every token
            ended = [index in self._stopped for index in range(len(input_ids))]
            self._ended = torch.tensor(ended, device=input_ids.device)
        return self._ended
