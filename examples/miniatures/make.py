"""Writes miniatures of five benchmarks, each in the layout in which it is officially distributed.

Run as ``python examples/miniatures/make.py --out build/miniatures``. The same command writes the
same data again.
"""

import argparse
import sys
from pathlib import Path


# The tiny world's modules lie in the next folder.
sys.path.append(str(Path(__file__).resolve().parent.parent / "train_tiny"))

import mm_safetybench
import mmbench
import mme
import mmvet
import vlsafe


BENCHMARKS = {
    "vlsafe": vlsafe.write,
    "mm_safetybench": mm_safetybench.write,
    "mme": mme.write,
    "mmbench": mmbench.write,
    "mmvet": mmvet.write,
}


def main() -> None:
    """Write the chosen benchmarks, each into a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--size", type=int, default=10, help="scales all of them (default: 10)")
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="which benchmarks"
    )
    options = parser.parse_args()
    if options.size < 1:
        parser.error(f"--size is {options.size}; give a number from 1")
    for name in options.only:
        rows = BENCHMARKS[name](options.out / name, options.size)
        print(f"{name}: {rows} questions in {options.out / name}")


if __name__ == "__main__":
    main()
