"""Measures what protection costs, beside the direct answer and the published loop.

Run as ``python -m examples.benchmark.bench --shape llava-1.5``; `make bench` and `make bench-full`.

All variants of a cell run in turn, round after round, in one process; ratios are taken within a
round, and their median is reported with the spread. Weights are random and words are forced: see
`shapes.py`. Says first how long it will take, prints every cell when it is measured, and keeps it
in ``build/bench.json``; stopped by Ctrl-C, SIGTERM or `--minutes`, it goes on with `--resume`. When
all cells are there it draws ``build/bench.png``; in brief there is too little to draw.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .forced_words import force_words
from .keeping import Clock, Kept, Stop, stopped_gently
from .results_shown import draw, show
from .shapes import SHAPES, build
from .variants import CAPTION_TOKENS, Bench, Job


Run = Callable[[Job], None]

UNSHARED = "ours, no shared prefix"
# Not the published question: see the README for what it costs in verdicts.
FOLLOW_UP = "Is your answer harmful, unsafe and unethical? Answer yes or no:"


@dataclass(frozen=True)
class Cell:
    """What is compared: a path, a preset, an answer length and a batch size."""

    path: str
    preset: str
    job: Job

    @property
    def batch(self) -> int:
        """Number of rows."""
        return len(self.job.flagged)


def cells(lengths: list[int], batch: int, is_brief: bool = False) -> list[Cell]:
    """Return the cells: benign and flagged alone, and a batch of which a tenth is flagged.

    Args:
        lengths: Of answers.
        batch: Rows of the batch.
        is_brief: Whether one row alone with the ``paper`` preset is enough.
    """
    singles = [
        Cell(path, "paper", Job(length, (path == "flagged",)))
        for path in ("benign", "flagged")
        for length in lengths
    ]
    if is_brief:
        return singles
    middle = min(lengths, key=lambda length: abs(length - 64))
    singles += [
        Cell(path, "hardened", Job(middle, (path == "flagged",))) for path in ("benign", "flagged")
    ]
    some = (True,) * max(round(batch / 10), 1)
    mixed = some + (False,) * (batch - len(some))
    return [*singles, Cell("mixed", "paper", Job(middle, mixed))]


def variants(bench: Bench, cell: Cell, is_brief: bool = False) -> dict[str, Run]:
    """Return the ways to answer a cell, by name; in brief, only what sharing the prefix gains."""

    def ours(**changes: Any) -> Run:
        return partial(bench.ours, preset=cell.preset, **changes)

    chosen: dict[str, Run] = {
        "direct": bench.direct,
        "published": bench.published,
        "ours": ours(),
    }
    if is_brief:
        return {**chosen, UNSHARED: ours(share_image_prefix=False)}
    if bench.has_floor:
        chosen["floor"] = partial(bench.floor, preset=cell.preset)
    if cell.batch > 1:
        chosen["ours, one by one"] = partial(bench.ours_one_by_one, preset=cell.preset)
    if cell.preset == "hardened":
        chosen["ours, no early stop"] = ours(draft_checkpoints=[])
    else:
        chosen["ours, no speculative verdict"] = ours(speculative_verdict=None)
    if not any(cell.job.flagged):
        chosen["ours, can run on"] = ours(runs_on=True)
    chosen["ours, follow-up question"] = ours(follow_up_prompt=FOLLOW_UP)
    if any(cell.job.flagged):
        chosen["ours, short caption"] = ours(caption_max_new_tokens=CAPTION_TOKENS // 2)
    chosen[UNSHARED] = ours(share_image_prefix=False)
    return chosen


def measure(
    cell: Cell, runs: dict[str, Run], rounds: int, stop: Stop, is_brief: bool = False
) -> list[dict]:
    """Return one row of results for each variant of a cell; none where it is stopped midway.

    In brief without peaks of memory: for one row alone those of a process tell no variants apart.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, float | None] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            if stop.is_wanted:
                return []
            started_anew = not is_brief and _start_peak_anew()
            seconds[name].append(_timed(run, cell.job))
            peaks[name] = max(peaks.get(name) or 0, _peak_mb()) if started_anew else None
    return [
        {
            "path": cell.path,
            "preset": cell.preset,
            "new_tokens": cell.job.new_tokens,
            "batch": cell.batch,
            "variant": name,
            "rounds": rounds,
            "ms": round(statistics.median(seconds[name]) * 1000, 1),
            **_ratios(seconds, name),
            **({} if is_brief else {"peak_mb": peaks[name]}),
        }
        for name in runs
    ]


def _ratios(seconds: dict[str, list[float]], name: str) -> dict[str, float | list[float]]:
    """Return the median ratio to each baseline, and the spread of that to the direct answer."""
    result: dict[str, float | list[float]] = {}
    for baseline in ("direct", "published", "floor"):
        if baseline in seconds:
            pairs = zip(seconds[name], seconds[baseline], strict=True)
            ratios = sorted(own / other for own, other in pairs)
            result[f"ratio_to_{baseline}"] = round(statistics.median(ratios), 3)
            if baseline == "direct":
                result["ratio_to_direct_spread"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    return result


def _timed(run: Run, job: Job) -> float:
    _wait()
    started = time.perf_counter()
    with torch.inference_mode():
        run(job)
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _start_peak_anew() -> bool:
    """Forget the highest use of memory so far; return whether this machine can."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return True
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")  # Linux: start the high-water mark anew
    return reset.exists()


def _peak_mb() -> float:
    """Return the highest use of memory: allocated on the GPU, or by the whole process."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return round(next(int(line.split()[1]) for line in status if "VmHWM" in line) / 1024, 1)


def make_bench(shape: str, is_brief: bool = False) -> Bench:
    """Return a benchmark of a shape, warmed up."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, processor = build(SHAPES[shape], device)
    bench = Bench(model, processor, force_words(model))
    warm_up = Cell("flagged", "paper", Job(2, (True,)))
    for run in variants(bench, warm_up, is_brief).values():
        run(warm_up.job)
    return bench


def main() -> int:
    """Measure all cells of a shape; returns the exit status."""
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    file = options.out / "bench.json"
    wanted = cells(options.lengths, options.batch, options.brief)
    kept = Kept(file, options.shape, options.rounds, options.resume)
    waiting = [cell for cell in wanted if not kept.has(cell)]
    bench = make_bench(options.shape, options.brief)
    # In brief there are half as many variants.
    clock = Clock(bench.direct, waiting, options.rounds / 2 if options.brief else options.rounds)
    print(f"{len(waiting)} cells, about {clock.left()}; rows are kept in {file}", flush=True)
    with stopped_gently() as stop:
        for cell in waiting:
            if stop.is_wanted or clock.is_over(cell, options.minutes):
                break
            runs = variants(bench, cell, options.brief)
            rows = measure(cell, runs, options.rounds, stop, options.brief)
            kept.add(cell, rows)
            clock.done(cell)
            title = f"shape {options.shape}, {cell.path}: median of ratios within a round"
            if rows:
                show(rows, f"{title}; {clock.left()} left")
    missing = [cell for cell in wanted if not kept.has(cell)]
    if missing:
        print(f"{len(missing)} of {len(wanted)} cells are missing; --resume measures them")
    elif options.brief:
        print(f"wrote {file}")
    else:
        draw(kept.rows, options.out / "bench.png")
        print(f"wrote {file} and {options.out / 'bench.png'}")
    return 130 if stop.is_wanted else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--batch", type=int, default=8, help="rows of the mixed batch")
    parser.add_argument("--rounds", type=int, default=3)
    brief = "only one row alone, with the paper preset, and without the smaller switches"
    parser.add_argument("--brief", action="store_true", help=brief)
    parser.add_argument("--threads", type=int, help="one: what else runs here disturbs least")
    parser.add_argument("--minutes", type=float, help="begin no cell that would take longer")
    parser.add_argument("--resume", action="store_true", help="measure only what is missing")
    parser.add_argument("--out", type=Path, default=Path("build"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
