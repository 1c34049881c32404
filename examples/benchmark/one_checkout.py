"""Times one checkout of the package on demand; `compare.py` runs one such process for each.

Run as a file by its path, with the checkout's folders in PYTHONPATH: everything else comes from
there, the way to force words included. Reads one JSON object a line, writes the seconds.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import modeling_ecso

# What `bench` is called in every version of this benchmark.
from examples.benchmark.bench import SHAPES, Bench, Cell, Job, build, force_words, variants


def main(shape: str) -> None:
    """Answer what standard input asks for, until it ends."""
    if not Path(modeling_ecso.__file__).is_relative_to(Path.cwd()):
        sys.exit(f"the package comes from {modeling_ecso.__file__}, not from {Path.cwd()}")
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, processor = build(SHAPES[shape], device)
    bench = Bench(model, processor, force_words(model))
    for line in sys.stdin:
        print(json.dumps(_told(bench, json.loads(line))), file=answers, flush=True)


def _told(bench: Any, asked: dict) -> Any:
    """Return the names of a cell's variants, or the seconds that one of them takes."""
    job = Job(asked["new_tokens"], tuple(asked["flagged"]))
    runs = variants(bench, Cell(asked["path"], asked["preset"], job))
    if "variant" not in asked:
        return list(runs)
    _wait()
    started = time.perf_counter()
    with torch.inference_mode():
        runs[asked["variant"]](job)
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1])
