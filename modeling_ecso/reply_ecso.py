"""Replies to the detect question, read no further than they matter.

A reply in words takes two passes of the model: one says "no", another one ends it. Where the
question continues from a cache, the usual reply is appended to it speculatively, and a single pass
tells what the model says after the question and after each word of that reply. If it says just
that, the reply is read off; if not, it is generated from there on. Never anything else than greedy
decoding says.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.cache_utils import DynamicLayer

from .call_ecso import Call
from .requirements_ecso import CACHE_ARGUMENT
from .verdict_ecso import is_settled


@dataclass(repr=False)
class ReplyStart:
    """How far a batch of replies is read. Has no repr: its inputs may quote an unsafe draft.

    Args:
        inputs: Arguments of `generate()` from which it goes on.
        config: Generation settings for that.
        first_logits: Those of the first new token, (prompts, vocabulary); None: not known yet.
        sequences: Long, (prompts, prompt + reply), where nothing is left to generate.
    """

    inputs: dict[str, Any]
    config: Any
    first_logits: torch.Tensor | None = None
    sequences: torch.Tensor | None = None


class ReplyReader:
    """Reads replies ahead, speculatively, and stops each as soon as the rest does not matter.

    Args:
        call: The call; its settings name the speculative reply and the rule to read replies by.
    """

    def __init__(self, call: Call):
        """Put the speculative reply into ids."""
        self._model = call.model
        self._rule = call.ecso_config.verdict_rule
        self._reply_text = call.reader.reply_text
        reply = call.ecso_config.speculative_verdict
        self._speculated = call.reader.answer_ids(reply) if reply else []
        self._end_ids = call.request.reply_end_ids

    def start(self, inputs: dict[str, Any], config: Any) -> ReplyStart:
        """Return the replies as far as one pass along the speculation tells them.

        Args:
            inputs: Arguments of `generate()` that give the prompts; ``CACHE_ARGUMENT``, if there,
                is a cache that can be cropped. Without it nothing is speculated.
            config: Generation settings with ``return_dict_in_generate`` and ``output_logits``.
        """
        cache = inputs.get(CACHE_ARGUMENT)
        can_speculate = (
            cache is not None
            and all(type(layer) is DynamicLayer for layer in cache.layers)  # others are not cut
            and config.max_new_tokens > len(self._speculated) > 0
        )
        if not can_speculate:
            return ReplyStart(inputs, config)
        said = self._logits_along_speculation(inputs)  # (prompts, 1 + speculated, vocabulary)
        replies = said.argmax(-1)
        if all(map(self._is_confirmed, replies.tolist())):
            sequences = torch.cat([inputs["input_ids"], replies], dim=1)
            return ReplyStart(inputs, config, said[:, 0], sequences)
        # The cache holds the prompts and the speculation; replies go on after their first token.
        inputs[CACHE_ARGUMENT].crop(-len(self._speculated))
        begun = _continued(inputs, replies[:, :1])
        rest = copy.deepcopy(config)
        rest.max_new_tokens -= 1
        return ReplyStart(begun, rest, said[:, 0])

    def criteria(self, prompt_length: int) -> StoppingCriteriaList:
        """Return what ends each reply as soon as the rest of it does not matter.

        Args:
            prompt_length: Length of the padded prompts, in tokens.
        """
        return StoppingCriteriaList([_Settled(self._is_settled, prompt_length)])

    def _is_settled(self, reply: list[int]) -> bool:
        return is_settled(self._reply_text(reply), self._rule)

    def _logits_along_speculation(self, inputs: dict[str, Any]) -> torch.Tensor:
        prompts = inputs["input_ids"]
        speculated = torch.tensor([self._speculated] * len(prompts), device=prompts.device)
        going_on = _continued(inputs, speculated)
        input_ids, mask = going_on.pop("input_ids"), going_on["attention_mask"]
        if "position_ids" not in going_on:
            going_on["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)  # as generate() counts
        start = inputs[CACHE_ARGUMENT].get_seq_length()
        given = self._model.prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=input_ids.shape[1] - start,
            is_first_iteration=True,
            use_cache=True,
            logits_to_keep=1 + len(self._speculated),
            **going_on,
        )
        return self._model(**given).logits

    def _is_confirmed(self, reply: list[int]) -> bool:
        """Return whether a reply is what was speculated, and over."""
        is_over = reply[-1] in self._end_ids or self._is_settled(reply)
        return reply[:-1] == self._speculated and is_over


class _Settled(StoppingCriteria):
    """Ends each reply as soon as the rest of it does not matter."""

    def __init__(self, is_settled: Callable[[list[int]], bool], prompt_length: int):
        self._is_settled = is_settled
        self._prompt_length = prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each row whether it ends here, bool, (rows,)."""
        new = input_ids[:, self._prompt_length :].tolist()
        return torch.tensor([self._is_settled(ids) for ids in new], device=input_ids.device)


def _continued(inputs: dict[str, Any], new_ids: torch.Tensor) -> dict[str, Any]:
    """Return inputs whose prompts go on with new ids, (prompts, new), as text."""
    prompts, count = inputs["input_ids"], new_ids.shape[1]
    going_on = {**inputs, "input_ids": torch.cat([prompts, new_ids], dim=1)}
    if "position_ids" in inputs:
        last = inputs["position_ids"][..., -1:]
        steps = torch.arange(1, count + 1, device=last.device)
        going_on["position_ids"] = torch.cat([inputs["position_ids"], last + steps], dim=-1)
    for name, tensor in inputs.items():  # the mask, and what else goes with each token
        if isinstance(tensor, torch.Tensor) and name not in ("input_ids", "position_ids"):
            going_on[name] = torch.cat([tensor, tensor[:, -1:].repeat_interleave(count, 1)], dim=1)
    return going_on
