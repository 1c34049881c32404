"""MM-Vet: answers as mm-vet_evaluator.py reads them.

Source of the layout: scripts/convert_mmvet_for_eval.py in github.com/gyhdog99/ecso at b00b386.
"""

import json
from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending


def export(run: EvalRun, stem: Path) -> Path:
    """Write one JSON object of id and answer."""
    file = with_ending(stem, ".json")
    answers = {sample.id: sample.answer for sample in run.samples}
    file.write_text(json.dumps(answers, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return file
