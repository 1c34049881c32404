"""Replies to the detect question, read no further than they matter.

A reply in words takes two passes of the model: one says "no", another one ends it. Where the
question continues from a cache, the usual reply is appended to it as a guess, and a single pass
tells what the model says after the question and after each word of the guess. If that is the guess,
the reply is read off; if not, it is generated from there on. Never anything else than greedy
decoding says.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from transformers import StoppingCriteria


class ReplyReader:
    """Generates replies and stops each as soon as the rest does not matter.

    Args:
        generate: The unprotected `generate()` of the model.
        model: The model.
        is_settled: Tells of the ids of a beginning whether the rest is not needed.
        guess: Ids of the usual reply, unended; empty to guess nothing.
        end_ids: The ids that end a reply.
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        model: Any,
        is_settled: Callable[[list[int]], bool],
        guess: list[int],
        end_ids: list[int],
    ):
        """Prepare; nothing runs yet."""
        self._generate = generate
        self._model = model
        self._is_settled = is_settled
        self._guess = guess
        self._end_ids = end_ids

    def read(self, inputs: dict[str, Any], settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sequences, (prompts, prompt + reply), and the logits of the first new token.

        Args:
            inputs: Arguments of `generate()` that give the prompts; ``past_key_values``, if there,
                is a cache that can be cropped.
            settings: Generation settings with ``return_dict_in_generate`` and ``output_logits``.
        """
        length = inputs["input_ids"].shape[1]
        can_guess = "past_key_values" in inputs and settings.max_new_tokens > len(self._guess) > 0
        if not can_guess:
            output = self._generated(inputs, settings, length)
            return output.sequences, output.logits[0]
        said = self._logits_along_guess(inputs)  # (prompts, 1 + guess, vocabulary)
        replies = said.argmax(-1)
        if all(map(self._is_confirmed, replies.tolist())):
            return torch.cat([inputs["input_ids"], replies], dim=1), said[:, 0]
        # The cache holds the prompts and the guess; replies go on after their first token.
        inputs["past_key_values"].crop(-len(self._guess))
        begun = {
            **inputs,
            "input_ids": torch.cat([inputs["input_ids"], replies[:, :1]], dim=1),
            "attention_mask": _with_ones(inputs["attention_mask"], 1),
        }
        rest = copy.deepcopy(settings)
        rest.max_new_tokens -= 1
        return self._generated(begun, rest, length).sequences, said[:, 0]

    def _generated(self, inputs: dict[str, Any], settings: Any, prompt_length: int) -> Any:
        stop = _Settled(self._is_settled, prompt_length)
        return self._generate(inputs, settings, stopping_criteria=[stop])

    def _logits_along_guess(self, inputs: dict[str, Any]) -> torch.Tensor:
        cache, prompts = inputs["past_key_values"], inputs["input_ids"]
        mask = _with_ones(inputs["attention_mask"], len(self._guess))
        guesses = torch.tensor([self._guess] * len(prompts), device=prompts.device)
        start = cache.get_seq_length()
        positions = (mask.cumsum(-1) - 1).clamp(min=0)  # as generate() counts them
        return self._model(
            input_ids=torch.cat([prompts[:, start:], guesses], dim=1),
            attention_mask=mask,
            position_ids=positions[:, start:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1 + len(self._guess),
        ).logits

    def _is_confirmed(self, reply: list[int]) -> bool:
        """Return whether a reply that was read along the guess is the guess, and over."""
        is_over = reply[-1] in self._end_ids or self._is_settled(reply)
        return reply[:-1] == self._guess and is_over


class _Settled(StoppingCriteria):
    """Ends each reply as soon as the rest of it does not matter."""

    def __init__(self, is_settled: Callable[[list[int]], bool], prompt_length: int):
        self._is_settled = is_settled
        self._prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each row whether it ends here, bool, (rows,)."""
        new = input_ids[:, self._prompt_length :].tolist()
        return torch.tensor([self._is_settled(ids) for ids in new], device=input_ids.device)


def _with_ones(mask: torch.Tensor, count: int) -> torch.Tensor:
    return torch.cat([mask, mask.new_ones(len(mask), count)], dim=1)
