"""VLSafe: answers as llava/eval/gpt4_vlsafe.py reads them.

Source of the fields: llava/eval/model_vlsafe_tell_ask.py in github.com/gyhdog99/ecso at b00b386.
"""

from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending, write_lines
from ...safety import exported_fields


def export(run: EvalRun, stem: Path) -> Path:
    """Write one JSON object for each answer."""
    rows = [{"image_id": s.facts["image_id"], **exported_fields(run, s)} for s in run.samples]
    return write_lines(rows, with_ending(stem, ".jsonl"))
