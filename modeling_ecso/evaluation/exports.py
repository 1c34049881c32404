"""Writes answers as the official evaluators want them, each run under a name of its own.

What is written is the matter of each benchmark's own ``export``; here is what they share.
"""

import json
import re
from pathlib import Path
from typing import Any

from .benchmarks import get_benchmark
from .eval_run import EvalRun


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
    return get_benchmark(run.benchmark).export(run, folder / name)


def with_ending(stem: Path, ending: str) -> Path:
    """Return a path with an ending behind its name, dots in the name left alone."""
    # Not with_suffix, which would cut llava-1.5-7b after its first dot.
    return stem.parent / f"{stem.name}{ending}"


def clear(folder: Path, names: list[str]) -> None:
    """Make a folder, or take what an earlier export wrote out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)


def write_lines(rows: list[dict[str, Any]], file: Path) -> Path:
    """Write one JSON object a line; returns the file."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    file.write_text("".join(lines), "utf-8")
    return file


def _file_safe(model: str) -> str:
    """Return a model's name, or the last two parts of its folder, as part of a file name."""
    parts = [part for part in re.split(r"[/\\]", model.removeprefix("ecso/")) if part]
    return re.sub(r"[^\w.-]", "-", "-".join(parts[-2:]))
