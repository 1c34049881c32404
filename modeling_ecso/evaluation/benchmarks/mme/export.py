"""MME: answers as the official calculator, calculation.py, reads them."""

from collections import defaultdict
from pathlib import Path

from ...eval_run import EvalRun
from ...exports import clear
from ...samples import SampleResult
from .reader import CATEGORIES


def export(run: EvalRun, stem: Path) -> Path:
    """Write one file for each category."""
    clear(stem, [f"{category}.txt" for category in CATEGORIES])
    by_category: dict[str, list[SampleResult]] = defaultdict(list)
    for sample in run.samples:
        by_category[sample.facts["category"]].append(sample)
    for category, samples in by_category.items():
        # The calculator pairs neighbouring lines, so the two questions of an image must be such.
        samples.sort(key=lambda sample: (sample.facts["file"], sample.facts["number"]))
        lines = [_line(sample) for sample in samples]
        (stem / f"{category}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return stem


def _line(sample: SampleResult) -> str:
    cells = (sample.facts["file"], sample.facts["question"], sample.target, sample.answer)
    # Tabs and line breaks would end a cell.
    return "\t".join(" ".join(cell.split()) for cell in cells)
