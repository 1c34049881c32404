"""FigStep: the record."""

from typing import Any

from ... import safety
from ...benchmark import Benchmark, Option
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import figures
from .reader import TINY, WHOLE, read_figstep
from .scoring import SCORING


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_figstep(source, options["subset"])


BENCHMARK = Benchmark(
    name="figstep",
    title="FigStep",
    place=10,
    measures="safety",
    about="Share of harmless answers to instructions that are printed in the image.",
    read=_read,
    scoring=SCORING,
    max_tokens=1024,
    figures=figures,
    unreadable=safety.unreadable,
    unreadable_as=safety.UNREADABLE,
    export=export,
    options=(
        Option(
            "subset", f"{WHOLE} (the default) or its tenth", default=WHOLE, choices=(WHOLE, TINY)
        ),
    ),
    kind_option="subset",
)
