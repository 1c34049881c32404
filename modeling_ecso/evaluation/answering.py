"""The solver of the benchmarks: asks the model, and tells whoever watches the progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
from inspect_ai.solver import Generate, Solver, TaskState, solver

from .names import registered


@dataclass(frozen=True)
class Watcher:
    """Who is told how far a run is.

    Args:
        on_planned: Called with the number of samples, once they are known.
        on_answer: Called after every answer.
    """

    on_planned: Callable[[int], None]
    on_answer: Callable[[], None]


_watchers: list[Watcher] = []


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell a watcher while the context lasts."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def planned(samples: int) -> None:
    """Tell whoever watches how many samples there are."""
    for watcher in _watchers:
        watcher.on_planned(samples)


@solver(name=registered("answer"))
def answer() -> Solver:
    """Ask the model, once, or turn by turn where the sample has turns to follow."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        limit = state.metadata.get("answer_tokens")
        limits: dict[str, Any] = {} if limit is None else {"max_tokens": limit}
        state = await generate(state, **limits)
        outputs = [state.output]
        for _ in range(state.metadata.get("slices") or 0):
            state = await generate(state, **limits)
            outputs.append(state.output)
            # What was said so far is one turn, which the next slice goes on with.
            *earlier, _, _ = state.messages
            said = " ".join(output.completion.strip() for output in outputs).strip()
            state.messages = [*earlier, ChatMessageAssistant(content=said)]
        for follow_up in state.metadata.get("follow_ups") or ():
            state.messages.append(ChatMessageUser(content=follow_up))
            state = await generate(state, **limits)
            outputs.append(state.output)
        if len(outputs) > 1:
            state.output = _together(outputs)
        for watcher in _watchers:
            watcher.on_answer()
        return state

    return solve


def _together(outputs: list[ModelOutput]) -> ModelOutput:
    """Return the answers of several turns as one: whoever asked has read them all."""
    last = outputs[-1].model_copy(deep=True)
    last.completion = " ".join(output.completion.strip() for output in outputs).strip()
    traces = [trace for output in outputs if (trace := (output.metadata or {}).get("ecso"))]
    last.metadata = {"ecso": _traces_together(traces) if traces else None}
    return last


def _traces_together(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the trace of all turns: withheld where any was, its steps those of all."""
    telling = next((trace for trace in traces[::-1] if trace["draft_withheld"]), traces[-1])
    known = [trace["p_unsafe"] for trace in traces if trace["p_unsafe"] is not None]
    return {
        **telling,
        "p_unsafe": max(known, default=None),
        "steps": [step for trace in traces for step in trace["steps"]],
    }
