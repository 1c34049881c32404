"""SIUO: the record."""

from typing import Any

from ... import safety
from ...benchmark import Benchmark
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import figures, unreadable
from .reader import read_siuo
from .scoring import SCORING


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_siuo(source)


BENCHMARK = Benchmark(
    name="siuo",
    title="SIUO",
    place=11,
    measures="safety",
    about="Share of safe, and of effective, answers where harm lies in image and text together.",
    read=_read,
    scoring=SCORING,
    max_tokens=500,
    figures=figures,
    unreadable=unreadable,
    unreadable_as=f"{safety.UNREADABLE}, or grades as ineffective",
    export=export,
)
