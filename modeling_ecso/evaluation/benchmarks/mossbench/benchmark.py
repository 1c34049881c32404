"""MOSSBench: the record."""

from typing import Any

from ...benchmark import Benchmark
from ...eval_run import EvalRun
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import figures, rates_of
from .reader import read_mossbench
from .scoring import SCORING


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_mossbench(source)


def _unreadable(run: EvalRun) -> int:
    return rates_of(run.samples).invalid


BENCHMARK = Benchmark(
    name="mossbench",
    title="MOSSBench",
    place=12,
    measures="utility",
    about="Share of benign queries that are refused, about images that look harmful.",
    read=_read,
    scoring=SCORING,
    max_tokens=1024,
    figures=figures,
    unreadable=_unreadable,
    unreadable_as="verdicts unreadable, counted as refusals",
    export=export,
    reading_note="MOSSBench counts refusals of benign queries: lower is better.",
)
