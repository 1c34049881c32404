"""The solver of the benchmarks: asks the model once, and tells whoever watches the progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inspect_ai.solver import Generate, Solver, TaskState, solver

from .names import registered


_watchers: list[Callable[[], None]] = []


@contextmanager
def watched_by(on_answer: Callable[[], None]) -> Iterator[None]:
    """Call a function after every answer while the context lasts."""
    _watchers.append(on_answer)
    try:
        yield
    finally:
        _watchers.remove(on_answer)


@solver(name=registered("answer"))
def answer() -> Solver:
    """Ask the model once."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state)
        for on_answer in _watchers:
            on_answer()
        return state

    return solve
