"""Writes answers as the official evaluators want them, each run under a name of its own.

| benchmark | file | read by |
|---|---|---|
| VLSafe, MM-SafetyBench | JSONL with the published fields | llava/eval/gpt4_vlsafe.py |
| MME | ``<category>.txt`` for each category | calculation.py |
| MMBench | xlsx with all rotations | the submission server, VLMEvalKit |
| MM-Vet | JSON of id and answer | mm-vet_evaluator.py |

The published JSONL holds the draft of a flagged answer in ``unsafe_answer``; here it does where
drafts were kept (`--keep-drafts`), and the field is left out where not.

Source of the fields: llava/eval/model_{mmsafe,vlsafe}_tell_ask.py and
scripts/convert_{mmbench_for_submission,mmvet_for_eval}.py in github.com/gyhdog99/ecso at b00b386.
"""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from .datasets.mm_safetybench import SCENARIOS
from .logs import EvalRun
from .metrics.mme import COGNITION, PERCEPTION
from .samples import SampleResult


def export_run(run: EvalRun, folder: Path) -> Path:
    """Write a run's answers in place of an earlier export of the same name; returns where.

    Args:
        run: The run.
        folder: Where to; the file or folder below it is named after model, benchmark, kind and
            variant.
    """
    parts = (_file_safe(run.model), run.benchmark, run.kind, run.variant)
    name = "_".join(part for part in parts if part)
    folder.mkdir(parents=True, exist_ok=True)
    return _WRITERS[run.benchmark](run, folder / name)


def _write_vlsafe(run: EvalRun, stem: Path) -> Path:
    rows = [{"image_id": s.facts["image_id"], **_safety_fields(run, s)} for s in run.samples]
    return _write_lines(rows, _with_ending(stem, ".jsonl"))


def _write_mm_safetybench(run: EvalRun, stem: Path) -> Path:
    """Write one file for each scenario, as the published loop over scenarios reads them."""
    by_scenario: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for sample in run.samples:
        fields = {"image": f"{sample.facts['number']}.jpg", **_safety_fields(run, sample)}
        by_scenario[sample.facts["scenario"]].append(fields)
    _clear(stem, [f"{scenario}.jsonl" for scenario in SCENARIOS])
    for scenario, rows in by_scenario.items():
        _write_lines(rows, stem / f"{scenario}.jsonl")
    return stem


def _safety_fields(run: EvalRun, sample: SampleResult) -> dict[str, Any]:
    fields = {"query": sample.facts["question"], "text": sample.answer, "model_id": run.model}
    trace = sample.trace
    if trace is None:
        return fields
    if trace["draft_withheld"]:
        if "draft" in trace:
            fields["unsafe_answer"] = trace["draft"]
        fields["caption"] = trace["caption"]
    return {**fields, "unsafe": "Yes" if trace["draft_withheld"] else "No"}


def _write_mme(run: EvalRun, stem: Path) -> Path:
    # The calculator pairs neighbouring lines, so the two questions of an image must be neighbours.
    _clear(stem, [f"{category}.txt" for category in PERCEPTION + COGNITION])
    by_category: dict[str, list[SampleResult]] = defaultdict(list)
    for sample in run.samples:
        by_category[sample.facts["category"]].append(sample)
    for category, samples in by_category.items():
        samples.sort(key=lambda sample: (sample.facts["file"], sample.facts["number"]))
        lines = [
            "\t".join(
                _one_cell(cell)
                for cell in (s.facts["file"], s.facts["question"], s.target, s.answer)
            )
            for s in samples
        ]
        (stem / f"{category}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return stem


def _write_mmbench(run: EvalRun, stem: Path) -> Path:
    from openpyxl import Workbook

    letters = sorted({letter for s in run.samples for letter, text in _options(s).items() if text})
    letters = sorted({*letters, *"ABCD"})
    has_answers = any(sample.target for sample in run.samples)
    ends = [*(["answer"] if has_answers else []), "split"]
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(["index", "question", *letters, "prediction", *ends])
    for sample in run.samples:
        options = [_options(sample).get(letter) for letter in letters]
        answer = [sample.target] if has_answers else []
        cells = [sample.facts["question"], *options, sample.answer, *answer, sample.facts["split"]]
        sheet.append([sample.facts["index"], *map(_plain_cell, cells)])
    file = _with_ending(stem, ".xlsx")
    book.save(file)
    return file


def _write_mmvet(run: EvalRun, stem: Path) -> Path:
    file = _with_ending(stem, ".json")
    answers = {sample.id: sample.answer for sample in run.samples}
    file.write_text(json.dumps(answers, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return file


_WRITERS = {
    "vlsafe": _write_vlsafe,
    "mm_safetybench": _write_mm_safetybench,
    "mme": _write_mme,
    "mmbench": _write_mmbench,
    "mmvet": _write_mmvet,
}


def _file_safe(model: str) -> str:
    """Return a model's name, or the last two parts of its folder, as part of a file name."""
    parts = [part for part in re.split(r"[/\\]", model.removeprefix("ecso/")) if part]
    return re.sub(r"[^\w.-]", "-", "-".join(parts[-2:]))


def _with_ending(stem: Path, ending: str) -> Path:
    # Not with_suffix, which would cut llava-1.5-7b after its first dot.
    return stem.parent / f"{stem.name}{ending}"


def _clear(folder: Path, names: list[str]) -> None:
    """Make a folder, or take what an earlier export wrote out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _write_lines(rows: list[dict[str, Any]], file: Path) -> Path:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    file.write_text("".join(lines), "utf-8")
    return file


def _options(sample: SampleResult) -> dict[str, str]:
    return sample.facts["options"]


def _one_cell(text: str) -> str:
    """Return a text without tabs and line breaks, which would end its cell."""
    return " ".join(text.split())


def _plain_cell(text: str | None) -> str | None:
    """Return a text without what a spreadsheet cannot hold, and that is never a formula."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not text:
        return None
    clean = ILLEGAL_CHARACTERS_RE.sub(" ", text)
    return f" {clean}" if clean.startswith("=") else clean
