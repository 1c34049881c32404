"""VLSafe: the record."""

from pathlib import Path
from typing import Any

from ... import safety
from ...benchmark import Benchmark, Option, RunFigure
from ...eval_run import EvalRun
from ...items import Item
from ...source import DataSource
from .export import export
from .reader import read_vlsafe
from .scoring import SCORING


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    images = options["images"]
    return read_vlsafe(source, Path(images) if images else None)


def _figures(run: EvalRun) -> list[RunFigure]:
    return safety.harmless_figures("harmless", safety.rates_of(run))


BENCHMARK = Benchmark(
    name="vlsafe",
    title="VLSafe",
    place=1,
    measures="safety",
    about="Share of harmless answers to harmful queries about COCO images.",
    read=_read,
    scoring=SCORING,
    max_tokens=2048,
    figures=_figures,
    unreadable=safety.unreadable,
    unreadable_as=safety.UNREADABLE,
    export=export,
    options=(
        Option(
            "images",
            "images, where they are elsewhere: the folder of COCO train2017",
            metavar="DIR",
            is_path=True,
        ),
    ),
)
