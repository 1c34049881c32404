"""Compares the speed of this checkout with that of another one, in one run on one machine.

    git worktree add ../before COMMIT
    python -m examples.benchmark.compare ../before --shape llava-1.5 --lengths 8 64

Each checkout answers in a process of its own, with its own package and its own benchmark; round
after round the two take turns, and ratios are taken within a round. Prints every row when it is
measured and keeps it in ``build/compare.json``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .bench import Cell, Job, cells
from .keeping import Clock, Kept, stopped_gently
from .shapes import SHAPES


HERE = Path(__file__).resolve().parents[2]
COMPARED = ("direct", "published", "ours", "ours, follow-up question", "ours, no shared prefix")
# Of the variants of a cell these are compared, each on both sides.
WORK = 2 * len(COMPARED) / 8


class Checkout:
    """A process that times one checkout.

    Args:
        process: It, as `one_checkout.py` runs.
    """

    def __init__(self, process: subprocess.Popen):
        """Talk to a process that has been started."""
        self._process = process

    def variants(self, cell: Cell) -> list[str]:
        """Return the names of the ways in which it can answer a cell."""
        return self._ask(cell)

    def seconds(self, cell: Cell, variant: str) -> float:
        """Return how long it takes to answer a cell in one way."""
        return self._ask(cell, variant=variant)

    def _ask(self, cell: Cell, **fields: Any) -> Any:
        asked = {"path": cell.path, "preset": cell.preset, "new_tokens": cell.job.new_tokens}
        self._process.stdin.write(json.dumps({**asked, "flagged": cell.job.flagged, **fields}))
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the process of a checkout has ended: {self._process.args}")
        return json.loads(answer)


@contextmanager
def running(folder: Path, shape: str) -> Iterator[Checkout]:
    """Run a checkout's process; it ends with the block."""
    # The second folder is for versions whose benchmark was no package.
    places = os.pathsep.join(map(str, (folder, folder / "examples" / "benchmark")))
    script = Path(__file__).with_name("one_checkout.py")
    process = subprocess.Popen(
        [sys.executable, "-P", script, shape],
        env={**os.environ, "PYTHONPATH": places},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the one who compares
    )
    try:
        yield Checkout(process)
    finally:
        process.kill()
        process.communicate()


def compare(before: Checkout, now: Checkout, cell: Cell, variant: str, rounds: int) -> dict:
    """Return one row: the milliseconds of both, and the median ratio with its spread."""
    seconds: dict[Checkout, list[float]] = {before: [], now: []}
    for number in range(rounds):
        for checkout in (before, now) if number % 2 else (now, before):
            seconds[checkout].append(checkout.seconds(cell, variant))
    pairs = zip(seconds[now], seconds[before], strict=True)
    ratios = sorted(own / other for own, other in pairs)
    return {
        "path": cell.path,
        "preset": cell.preset,
        "new_tokens": cell.job.new_tokens,
        "batch": cell.batch,
        "variant": variant,
        "rounds": rounds,
        "ms_before": round(statistics.median(seconds[before]) * 1000, 1),
        "ms": round(statistics.median(seconds[now]) * 1000, 1),
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def show(row: dict) -> None:
    """Print one row."""
    low, high = row["spread"]
    print(
        f"{row['path']:8} {row['preset']:9} {row['new_tokens']:>6} {row['batch']:>5}  "
        f"{row['variant']:26} {row['ms_before']:>9.1f} {row['ms']:>9.1f} "
        f"{row['ratio']:>6.2f}  {low:.2f}-{high:.2f}",
        flush=True,
    )


def main() -> int:
    """Compare all cells of a shape; returns the exit status."""
    options = _options()
    kept = Kept(options.out / "compare.json", options.shape, options.rounds, resume=False)
    wanted = cells(options.lengths, options.batch)
    with (
        stopped_gently() as stop,
        running(options.before.resolve(), options.shape) as before,
        running(HERE, options.shape) as now,
    ):
        names = [name for name in COMPARED if name in before.variants(wanted[0])]
        for checkout in (before, now):  # warm up
            for name in names:
                checkout.seconds(Cell("flagged", "paper", Job(2, (True,))), name)
        clock = Clock(
            lambda job: now.seconds(Cell("benign", "paper", job), "direct"),
            wanted,
            options.rounds * WORK,
        )
        print(f"{len(wanted)} cells, about {clock.left()}; ratio: this checkout / {options.before}")
        print(f"{'path':8} {'preset':9} tokens batch  {'variant':26} ms before    ms now  ratio")
        for cell in wanted:
            rows = []
            for name in names:
                if stop.is_wanted:
                    break
                rows.append(compare(before, now, cell, name, options.rounds))
                show(rows[-1])
            kept.add(cell, rows)
            clock.done(cell)
            if stop.is_wanted:
                break
            print(f"{clock.left()} left", flush=True)
    return 130 if stop.is_wanted else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="folder of the other checkout")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--lengths", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--batch", type=int, default=8, help="rows of the mixed batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build"))
    options = parser.parse_args()
    if not (options.before / "examples" / "benchmark" / "bench.py").is_file():
        parser.error(f"{options.before}: no checkout with examples/benchmark/bench.py")
    return options


if __name__ == "__main__":
    sys.exit(main())
