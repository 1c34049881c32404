"""Makes a model with random weights say given words, at the full cost of saying them."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class ForcedWords(nn.Module):
    """Takes the place of a model's output layer: computes it, then puts given tokens on top.

    Args:
        output_layer: The model's own output layer; it runs as before.
    """

    def __init__(self, output_layer: nn.Module):
        """Wrap the layer; nothing is forced yet."""
        super().__init__()
        self.output_layer = output_layer
        self._calls: deque[list[list[int]]] = deque()
        self._rows: list[list[int]] = []
        self._position = 0

    def plan(self, calls: list[list[list[int]]]) -> None:
        """Set what the next `generate()` calls say: for each call, for each row, token ids."""
        self._calls = deque(calls)

    def next_call(self) -> None:
        """Start the next `generate()` call."""
        self._rows = self._calls.popleft()
        self._position = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Start the next call, perhaps inside another one, which goes on afterwards."""
        interrupted = self._rows, self._position
        self.next_call()
        yield
        self._rows, self._position = interrupted

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return logits, (rows, positions, vocabulary), that choose the planned tokens."""
        logits = self.output_layer(hidden_states)
        for row, tokens in enumerate(self._rows):
            token = tokens[min(self._position, len(tokens) - 1)]
            logits[row, -1, token] = 1e4
        self._position += 1
        return logits


def force_words(model) -> ForcedWords:
    """Put a `ForcedWords` into a model and let every plain `generate()` start a call of it."""
    words = ForcedWords(model.lm_head)
    model.lm_head = words
    plain = model._generate_plainly

    def next_then_plain(**arguments):
        with words.call():
            return plain(**arguments)

    model._generate_plainly = next_then_plain
    return words
