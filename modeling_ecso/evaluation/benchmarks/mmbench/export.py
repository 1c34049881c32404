"""MMBench: answers as the submission server and VLMEvalKit read them.

Source of the columns: scripts/convert_mmbench_for_submission.py in github.com/gyhdog99/ecso at
b00b386.
"""

from pathlib import Path

from ...eval_run import EvalRun
from ...exports import with_ending
from ...samples import SampleResult


def export(run: EvalRun, stem: Path) -> Path:
    """Write one sheet with all rotations."""
    from openpyxl import Workbook

    letters = {letter for s in run.samples for letter, text in _options(s).items() if text}
    columns = sorted({*letters, *"ABCD"})
    has_answers = any(sample.target for sample in run.samples)
    ends = [*(["answer"] if has_answers else []), "split"]
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(["index", "question", *columns, "prediction", *ends])
    for sample in run.samples:
        options = [_options(sample).get(letter) for letter in columns]
        answer = [sample.target] if has_answers else []
        cells = [sample.facts["question"], *options, sample.answer, *answer, sample.facts["split"]]
        sheet.append([sample.facts["index"], *map(_plain_cell, cells)])
    file = with_ending(stem, ".xlsx")
    book.save(file)
    return file


def _options(sample: SampleResult) -> dict[str, str]:
    return sample.facts["options"]


def _plain_cell(text: str | None) -> str | None:
    """Return a text without what a spreadsheet cannot hold, and that is never a formula."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not text:
        return None
    clean = ILLEGAL_CHARACTERS_RE.sub(" ", text)
    return f" {clean}" if clean.startswith("=") else clean
