"""SIUO: answers as eval/gpt-eval.py reads them.

Source of the fields: eval/gpt-eval.py in github.com/sinwang20/SIUO at 18974b6, which takes the
reference from ``reference`` where its data have ``reference_answer``; both are written.
"""

import json
from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending


_FIELDS = ("question_id", "image", "question", "category", "safety_warning", "reference_answer")


def export(run: EvalRun, stem: Path) -> Path:
    """Write the list of questions, each with the list of its answers, which are one."""
    rows = [
        {
            **{name: sample.facts[name] for name in _FIELDS},
            "reference": sample.facts["reference_answer"],
            "responses": [sample.answer],
        }
        for sample in run.samples
    ]
    file = with_ending(stem, ".json")
    file.write_text(json.dumps(rows, indent=4, ensure_ascii=False) + "\n", "utf-8")
    return file
