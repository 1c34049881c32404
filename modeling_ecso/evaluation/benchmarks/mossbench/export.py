"""MOSSBench: answers as experiments/main.py keeps and resumes them.

Source of the fields: experiments/main.py in github.com/xirui-li/MOSSBench at 8d68b06, which judges
what it finds in ``responses`` with ``--no-inference``.
"""

import json
from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending


def export(run: EvalRun, stem: Path) -> Path:
    """Write one JSON object of all responses by number."""
    responses = {
        sample.id: {
            "pid": sample.id,
            "image_path": sample.facts["image"],
            "question": sample.facts["question"],
            "response": sample.answer,
            "rejected": None,
            "reject_reasoning": "",
            "metadata": {"over": sample.facts["over"]},
        }
        for sample in run.samples
    }
    file = with_ending(stem, ".json")
    text = json.dumps({"responses": responses}, indent=2, ensure_ascii=False)
    file.write_text(text + "\n", "utf-8")
    return file
