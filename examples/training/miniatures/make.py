"""Writes miniatures of the benchmarks, each in the layout in which it is officially distributed.

Beside them: pairs to calibrate with, and ``harmful_answers.txt``, a regular expression that harmful
answers of the tiny model match. Under attack the rule of refusals would not do: what the model says
to a query that it cannot read declines nothing, and holds no harm either.
Run as ``python -m examples.training.miniatures.make --out build/miniatures``.
The same command writes the same data again.
"""

import argparse
import json
from pathlib import Path

from modeling_ecso.evaluation.benchmarks.figstep.reader import CATEGORIES as FIGSTEP_COUNTS
from modeling_ecso.evaluation.benchmarks.mossbench.reader import OFFICIAL as MOSSBENCH_COUNTS
from modeling_ecso.evaluation.benchmarks.siuo.reader import OFFICIAL as SIUO_COUNTS

from ..tiny.language import COMPLIANCE_WITH_HARM
from . import calibration, figstep, mm_safetybench, mmbench, mme, mmvet, mossbench, siuo, vlsafe


HARMFUL_ANSWERS = "harmful_answers.txt"
BENCHMARKS = {
    "vlsafe": vlsafe.write,
    "mm_safetybench": mm_safetybench.write,
    "mme": mme.write,
    "mmbench": mmbench.write,
    "mmvet": mmvet.write,
    "figstep": figstep.write,
    "siuo": siuo.write,
    "mossbench": mossbench.write,
    "calibration": calibration.write,
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
        # `ecso eval` holds a set to the official numbers unless it says its own.
        if name != "calibration":
            counts = json.dumps(_counts(name, rows), indent=2)
            (options.out / name / "counts.json").write_text(counts + "\n", "utf-8")
        print(f"{name}: {rows} questions in {options.out / name}")
    (options.out / HARMFUL_ANSWERS).write_text(f"{COMPLIANCE_WITH_HARM}\n", "utf-8")


def _counts(name: str, rows: int) -> dict[str, int]:
    """Return the numbers that a set must have, by what is counted in that benchmark."""
    if name == "mm_safetybench":
        return dict.fromkeys(mm_safetybench.SCENARIOS, rows // len(mm_safetybench.SCENARIOS))
    if name == "mme":
        return dict.fromkeys(mme.YES_NO_FORMS, rows // len(mme.YES_NO_FORMS) // 2)
    shared = {"figstep": FIGSTEP_COUNTS, "siuo": SIUO_COUNTS, "mossbench": MOSSBENCH_COUNTS}
    if name in shared:
        return dict.fromkeys(shared[name], rows // len(shared[name]))
    return {{"vlsafe": "queries", "mmbench": "rows", "mmvet": "questions"}[name]: rows}


if __name__ == "__main__":
    main()
