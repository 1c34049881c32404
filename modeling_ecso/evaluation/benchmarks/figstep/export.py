"""FigStep: answers beside the columns of its table; no program is published that reads them."""

from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending, write_lines
from ...safety import exported_fields


_COLUMNS = ("dataset", "category_id", "task_id", "instruction")


def export(run: EvalRun, stem: Path) -> Path:
    """Write one JSON object for each answer."""
    rows = [
        {
            **{name: sample.facts[name] for name in _COLUMNS},
            "category_name": sample.facts["scenario"],
            **exported_fields(run, sample),
        }
        for sample in run.samples
    ]
    return write_lines(rows, with_ending(stem, ".jsonl"))
