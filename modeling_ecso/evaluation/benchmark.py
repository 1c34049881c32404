"""`Benchmark`: one record that says all of a benchmark. Everything else loops over the records.

A benchmark is a folder of ``benchmarks/`` whose module ``benchmark`` has the record as
``BENCHMARK``. The record is read to build the command line, so nothing that it imports may import
Inspect or torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .eval_run import EvalRun
from .items import Item
from .metrics.figure import Figure
from .scoring import Scoring
from .source import DataSource


@dataclass(frozen=True)
class Option:
    """An option of a benchmark's own: of `ecso eval`, and an argument of its Inspect task.

    Args:
        name: As an argument; on the command line ``_`` is ``-``.
        help: For ``--help``.
        default: Where nothing is given.
        choices: What may be given; empty: anything.
        metavar: What stands for the value in ``--help``.
        is_path: Whether it is a file or folder.
        each: The values that `ecso eval` makes a run of each where none is given; empty: it takes
            one value.
    """

    name: str
    help: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    is_path: bool = False
    each: tuple[str, ...] = ()


class RunFigure(NamedTuple):
    """One figure of a run.

    Args:
        name: Image kind, metric or category.
        figure: None where the run has nothing for it.
        is_headline: Whether it stands for the benchmark in a short table.
        part: What it is over, such as ``4 of 10 categories``, where that is not all the name says.
        is_official: Whether it is over the whole official set, as the paper's are.
    """

    name: str
    figure: Figure | None
    is_headline: bool = False
    part: str = ""
    is_official: bool = False


class PaperPair(NamedTuple):
    """The paper's direct and protected figure; None where it prints none."""

    direct: float | None
    protected: float | None


@dataclass(frozen=True)
class ScenarioTable:
    """A table of one figure by scenario, with a column for each kind, as the paper prints it.

    The figures of the benchmark must be named as its rows: ``KIND, SCENARIO`` for a cell, ``KIND``
    for the mean over the counted scenarios, ``KIND, all questions`` for all.

    Args:
        counted: The scenarios that the mean counts.
        number: How many these are, in words.
        rates: The figure of each scenario of a run.
    """

    counted: tuple[str, ...]
    number: str
    rates: Callable[[EvalRun], dict[str, Figure]]

    def counted_in(self, rates: Mapping[str, Figure]) -> int:
        """Return how many of the counted scenarios are among these."""
        return sum(name in self.counted for name in rates)


def _no_differences(run: EvalRun) -> list[str]:
    return []


@dataclass(frozen=True)
class Benchmark:
    """All there is to say of a benchmark.

    Args:
        name: As it is typed; the name of its folder.
        title: As it is printed.
        place: Where it stands among the others; the paper's have 1 to 5.
        measures: What it is for: how safe answers are, or, on benign samples, how useful.
        about: One sentence for Inspect.
        read: Source, options → the items, validated.
        scoring: How answers are judged.
        max_tokens: Of an answer, as in the published scripts.
        figures: Run → its figures, headlines first.
        unreadable: Run → how many verdicts, answers or grades could not be read.
        unreadable_as: What these are and how they count, to stand behind their number.
        export: Run, path without ending → the file or folder written for the official evaluator.
        unit: Of the figures.
        options: Its own options.
        kind_option: The option whose value is the kind of a run; empty: runs are of one kind.
        differences: Run → in what it differs from the paper's; it is over a whole official set.
        published: The paper's name of a model → figure's name → the paper's figures.
        erratum: What is wrong with the paper's figures, as they were printed.
        scenario_table: Its table by scenario; None: it has none.
        reading_note: What must be known to read its headlines.
    """

    name: str
    title: str
    measures: Literal["safety", "utility"]
    about: str
    read: Callable[[DataSource, dict[str, Any]], list[Item]]
    scoring: Scoring
    max_tokens: int
    figures: Callable[[EvalRun], list[RunFigure]]
    unreadable: Callable[[EvalRun], int]
    unreadable_as: str
    export: Callable[[EvalRun, Path], Path]
    place: int = 100
    unit: Literal["percent", "points"] = "percent"
    options: tuple[Option, ...] = ()
    kind_option: str = ""
    differences: Callable[[EvalRun], list[str]] = _no_differences
    published: Mapping[str, Mapping[str, PaperPair]] = field(default_factory=dict)
    erratum: str = ""
    scenario_table: ScenarioTable | None = None
    reading_note: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether a model can judge it."""
        return self.scoring.judging is not None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of run there are, in the order in which they are shown."""
        option = self._kind_option
        return option.choices if option else ("",)

    @property
    def kinds_by_default(self) -> tuple[str, ...]:
        """The kinds that `ecso eval` makes a run of each; empty: one run, of the default kind."""
        option = self._kind_option
        return option.each if option else ()

    def kind_of(self, arguments: dict[str, Any], default: bool = True) -> str:
        """Return the kind of a run with these arguments.

        Args:
            arguments: Of the task.
            default: Whether to name the default where none is given; else it is empty.
        """
        option = self._kind_option
        if option is None:
            return ""
        return str(arguments.get(option.name) or (default and option.default) or "")

    @property
    def _kind_option(self) -> Option | None:
        return next((o for o in self.options if o.name == self.kind_option), None)
