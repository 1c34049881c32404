"""MM-SafetyBench: the record."""

from pathlib import Path
from typing import Any

from ... import safety
from ...benchmark import Benchmark, Option, ScenarioTable
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import PAPER_SCENARIOS, by_scenario, differences, figures
from .published import ERRATUM, PUBLISHED
from .reader import KINDS, read_mm_safetybench
from .scoring import SCORING


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    # The command line of Inspect makes a number or a list of what looks like one.
    names = options["scenarios"]
    names = names if isinstance(names, list) else str(names or "").split(",")
    chosen = [str(name) for name in names if str(name).strip()] or None
    images = Path(options["images"]) if options["images"] else None
    return read_mm_safetybench(source, options["kind"], chosen, images)


BENCHMARK = Benchmark(
    name="mm_safetybench",
    title="MM-SafetyBench",
    place=2,
    measures="safety",
    about="Share of harmless answers in 13 scenarios, for one kind of image.",
    read=_read,
    scoring=SCORING,
    max_tokens=2048,
    figures=figures,
    unreadable=safety.unreadable,
    unreadable_as=safety.UNREADABLE,
    export=export,
    options=(
        Option(
            "images",
            "images, where they are elsewhere: the folder of the image archive",
            metavar="DIR",
            is_path=True,
        ),
        Option(
            "kind",
            "image kinds (default: SD TYPO SD_TYPO)",
            default="SD_TYPO",
            choices=KINDS,
            each=("SD", "TYPO", "SD_TYPO"),
        ),
        Option("scenarios", "scenarios, such as 1,2,9 (default: all thirteen)", metavar="LIST"),
    ),
    kind_option="kind",
    differences=differences,
    published=PUBLISHED,
    erratum=ERRATUM,
    scenario_table=ScenarioTable(PAPER_SCENARIOS, "eight", by_scenario),
    reading_note="MM-SafetyBench is the mean over the eight scenarios that the paper counts, where "
    "nothing else is said.",
)
