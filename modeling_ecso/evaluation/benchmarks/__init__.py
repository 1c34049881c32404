"""The benchmarks, one folder each.

To add one is to add a folder whose module ``benchmark`` has a record, ``BENCHMARK``; nothing else
needs to know of it.

    reader.py       downloaded data → items, validated
    scoring.py      how answers are judged: by rule, and what a judge is asked
    metrics.py      judged answers → figures, as officially defined; pure functions
    export.py       answers → the file that the official evaluator reads
    benchmark.py    the record
"""

import pkgutil
from importlib import import_module

from ..benchmark import Benchmark


def all_benchmarks() -> tuple[Benchmark, ...]:
    """Return the records of all folders, in the order in which they are shown."""
    found = [_record(module.name) for module in pkgutil.iter_modules(__path__) if module.ispkg]
    return tuple(sorted(found, key=lambda benchmark: (benchmark.place, benchmark.name)))


def get_benchmark(name: str) -> Benchmark:
    """Return the record of that name.

    Raises:
        KeyError: There is none.
    """
    return {benchmark.name: benchmark for benchmark in all_benchmarks()}[name]


def names_of(measures: str | None = None) -> tuple[str, ...]:
    """Return the names of all benchmarks, or of those that measure safety, or utility."""
    found = all_benchmarks()
    return tuple(each.name for each in found if measures in (None, each.measures))


def listed(names: tuple[str, ...]) -> str:
    """Return names as a sentence has them: ``a, b or c``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _record(name: str) -> Benchmark:
    return import_module(f"{__name__}.{name}.benchmark").BENCHMARK
