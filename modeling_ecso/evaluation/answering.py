"""The solver of the benchmarks: asks the model once, and tells whoever watches the progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    """Ask the model once."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state)
        for watcher in _watchers:
            watcher.on_answer()
        return state

    return solve
