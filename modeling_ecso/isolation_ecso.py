"""Keeps the caller's callbacks apart from the protocol: what they see, and what they may do.

Covered: stopping criteria, logits processors and `prefix_allowed_tokens_fn`; some rows of a batch,
beams and samples. They see the caller's prompt, then the answer, and the row's place in the batch,
also where the answer was written to another prompt. A `generate()` of their own is protected.
Not covered: one that replaces a default of its own type, as transformers allows: both apply.
"""

import copy
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)


# The models whose own decoding loop or assistant is at work. Called again from inside there, the
# plain generate() is meant; any other model, and any callback of the caller's, stays protected.
WRITING: ContextVar[tuple[Any, ...]] = ContextVar("ecso_writing", default=())


def callbacks_outside(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of `generate()` whose callbacks do not count as part of the decoding loop.

    Args:
        arguments: The arguments, by name.
    """
    outside = dict(arguments)
    for name in ("stopping_criteria", "logits_processor"):
        if outside.get(name):
            outside[name] = _outside(outside[name])
    for name in ("prefix_allowed_tokens_fn", "streamer"):
        if outside.get(name) is not None:
            outside[name] = _Outside(outside[name])
    return outside


def _outside(callback: Any) -> Any:
    if isinstance(callback, list | tuple):  # a list of callbacks may stand for one
        return type(callback)(map(_outside, callback))
    if not _is_of_transformers(callback):
        return _Outside(callback)
    # Its type stays, by which it may replace a default; a function that it calls runs outside.
    functions = {
        name: _Outside(value)
        for name, value in vars(callback).items()
        if callable(value)
        and not isinstance(value, torch.nn.Module)
        and not _is_of_transformers(value)
    }
    if functions:
        callback = copy.copy(callback)
        vars(callback).update(functions)
    return callback


def _is_of_transformers(value: Any) -> bool:
    return type(value).__module__.startswith("transformers.")


class _Outside:
    """A callback that runs as if no decoding loop were at work."""

    def __init__(self, callback: Any):
        self._callback = callback

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the callback; a streamer's methods run outside as well."""
        found = getattr(self._callback, name)
        return _Outside(found) if name in ("put", "end") else found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = WRITING.set(())
        try:
            return self._callback(*args, **kwargs)
        finally:
            WRITING.reset(before)


class CallersView:
    """Shows callbacks the caller's prompts in front of an answer that was written to others.

    Args:
        prompts: Long, (rows of the step, length): the caller's prompts of these rows, padded.
        rows: The rows' places in the caller's batch.
        prompt_length: Length of the step's own padded prompts, in tokens.
    """

    def __init__(self, prompts: torch.Tensor, rows: list[int], prompt_length: int):
        """Keep what to show."""
        self._prompts = prompts
        self._rows = rows
        self._prompt_length = prompt_length

    def of(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the caller's prompts with the answers so far, (sequences, length)."""
        copies = len(input_ids) // len(self._prompts)
        prompts = self._prompts.repeat_interleave(copies, dim=0).to(input_ids.device)
        return torch.cat([prompts, input_ids[:, self._prompt_length :]], dim=1)

    def arguments(self, call_arguments: dict[str, Any]) -> dict[str, Any]:
        """Return arguments of `generate()` with every callback among them seeing this view."""
        shown = dict(call_arguments)
        if criteria := shown.get("stopping_criteria"):
            shown["stopping_criteria"] = StoppingCriteriaList(
                [_SeenCriteria(each, self) for each in criteria]
            )
        if processors := shown.get("logits_processor"):
            shown["logits_processor"] = LogitsProcessorList(
                [_SeenProcessor(each, self) for each in processors]
            )
        if allowed := shown.get("prefix_allowed_tokens_fn"):
            shown["prefix_allowed_tokens_fn"] = self._seen_function(allowed)
        return shown

    def _seen_function(self, allowed: Callable[..., list[int]]) -> Callable[..., list[int]]:
        def shown(row: int, sequence: torch.Tensor) -> list[int]:
            # transformers calls it for one sequence at a time.
            prompt = self._prompts[row].to(sequence.device)
            return allowed(self._rows[row], torch.cat([prompt, sequence[self._prompt_length :]]))

        return shown


class _SeenCriteria(StoppingCriteria):
    def __init__(self, criteria: Any, view: CallersView):
        self._criteria = criteria
        self._view = view

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        return self._criteria(self._view.of(input_ids), scores, **kwargs)


class _SeenProcessor(LogitsProcessor):
    def __init__(self, processor: Any, view: CallersView):
        self._processor = processor
        self._view = view

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return self._processor(self._view.of(input_ids), scores)
