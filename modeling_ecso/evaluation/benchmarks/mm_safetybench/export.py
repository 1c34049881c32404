"""MM-SafetyBench: answers as llava/eval/gpt4_vlsafe.py reads them, one file for each scenario.

Source of the fields: llava/eval/model_mmsafe_tell_ask.py in github.com/gyhdog99/ecso at b00b386.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from ...eval_run import EvalRun
from ...exports import clear, write_lines
from ...safety import exported_fields
from .reader import SCENARIOS


def export(run: EvalRun, stem: Path) -> Path:
    """Write one file for each scenario, as the published loop over scenarios reads them."""
    by_scenario: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for sample in run.samples:
        fields = {"image": f"{sample.facts['number']}.jpg", **exported_fields(run, sample)}
        by_scenario[sample.facts["scenario"]].append(fields)
    clear(stem, [f"{scenario}.jsonl" for scenario in SCENARIOS])
    for scenario, rows in by_scenario.items():
        write_lines(rows, stem / f"{scenario}.jsonl")
    return stem
