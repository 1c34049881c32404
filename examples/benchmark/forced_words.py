"""Makes a model with random weights say given words, at the full cost of saying them."""

import functools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from modeling_ecso.reply_ecso import ReplyReader


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
        self._is_paused = False

    def plan(self, calls: list[list[list[int]]]) -> None:
        """Set what the next `generate()` calls say: for each call, for each row, token ids."""
        self._calls = deque(calls)

    def next_call(self) -> None:
        """Start the next `generate()` call."""
        self._rows = self._calls.popleft()
        self._position = 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the model say what it would by itself."""
        self._is_paused = True
        yield
        self._is_paused = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Start the next call, perhaps inside another one, which goes on afterwards."""
        if self._is_paused:
            yield
            return
        interrupted = self._rows, self._position
        self.next_call()
        yield
        self._rows, self._position = interrupted

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return logits, (rows, positions, vocabulary), that choose the planned tokens."""
        logits = self.output_layer(hidden_states)
        for row, tokens in enumerate(self._rows):
            for offset in range(logits.shape[1]):  # more than one where a reply is read ahead
                token = tokens[min(self._position + offset, len(tokens) - 1)]
                logits[row, offset, token] = 1e4
        self._position += 1
        return logits


def force_words(model) -> ForcedWords:
    """Put a `ForcedWords` into a model; each `generate()` and each reading ahead is a call."""
    words = ForcedWords(model.lm_head)
    model.lm_head = words

    def as_a_call(function):
        @functools.wraps(function)
        def wrapped(*args, **arguments):
            with words.call():
                return function(*args, **arguments)

        return wrapped

    model._generate_plainly = as_a_call(model._generate_plainly)
    ReplyReader._logits_along_speculation = as_a_call(ReplyReader._logits_along_speculation)
    return words
