"""Breaks the core on purpose, one promise at a time, and says which tests notice.

    python -m tests.support.mutants
    python -m tests.support.mutants "the run keeps the draft" --tests tests/core

Each mutant is a copy of the package with a few lines replaced. Killed: a test fails. Survived: the
tests cannot see that leak. Where the core has been rewritten so that the lines are no longer there,
that is an error: write the mutant anew.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple


PROJECT = Path(__file__).parents[2]
DEFAULT_TESTS = ["tests/project/test_left_behind.py", "tests/core/test_no_leak.py"]
COPIED = ("modeling_ecso", "tests", "setup.cfg")


class Mutant(NamedTuple):
    """One way to let a draft stay behind.

    Args:
        name: What is wrong with it.
        file: Module of the package.
        lines: Lines that stand there once, without their indentation.
        broken: What takes their place, without it too; empty for nothing.
    """

    name: str
    file: str
    lines: str
    broken: str


MUTANTS = (
    Mutant(
        "the model keeps the draft's ids",
        "run_ecso.py",
        "self._answers = {(i, Outcome.DIRECT): draft for i, draft in enumerate(drafts)}",
        "self._answers = {(i, Outcome.DIRECT): draft for i, draft in enumerate(drafts)}\n"
        "self._call.model.kept = drafts[0].ids",
    ),
    Mutant(
        "the run keeps the draft",
        "run_ecso.py",
        "self._holds_draft = False\n"
        "self._direct, self._answers, self._protocols, self._steps = None, {}, [], None",
        "self._kept = (self._direct, self._answers, getattr(self, '_kept', None))\n"
        "self._holds_draft = False\n"
        "self._direct, self._answers, self._protocols, self._steps = None, {}, [], None",
    ),
    Mutant(
        "nothing is forgotten",
        "run_ecso.py",
        "self._direct, self._answers, self._protocols, self._steps = None, {}, [], None",
        "",
    ),
    Mutant(
        "the keys and values of the draft are returned",
        "steps_ecso.py",
        "output.past_key_values = None",
        "pass",
    ),
    Mutant(
        "an answer has a repr and is logged",
        "steps_ecso.py",
        "self._inputs.take_drafts([answer.ids for answer in answers])",
        "import logging; logging.getLogger(__name__).debug('%r', [a.ids for a in answers])\n"
        "self._inputs.take_drafts([answer.ids for answer in answers])",
    ),
    Mutant(
        "the error of a step is kept",
        "run_ecso.py",
        "except Exception as error:\n    cause = describe_error(error)",
        "except Exception as error:\n    cause, self._kept = describe_error(error), error",
    ),
    Mutant(
        "an error is raised where it came about",
        "run_ecso.py",
        "stripped = self._without_draft(error)",
        "raise self._without_draft(error)",
    ),
    Mutant(
        "the frames of an error stay",
        "run_ecso.py",
        "strip_frames(error)\nreturn error",
        "return error",
    ),
)


def broken_text(text: str, mutant: Mutant) -> str:
    """Return the text of a module with a mutant's lines replaced, indented as they were.

    Raises:
        LookupError: They are not there, or more than once.
    """
    wanted = mutant.lines.split("\n")
    lines = text.split("\n")
    places = []
    for start in range(len(lines) - len(wanted) + 1):
        indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
        if lines[start : start + len(wanted)] == [indent + line for line in wanted]:
            places.append((start, indent))
    if len(places) != 1:
        raise LookupError(f"{mutant.name}: its lines are in {mutant.file} {len(places)} times")
    start, indent = places[0]
    lines[start : start + len(wanted)] = [
        indent + line for line in mutant.broken.split("\n") if line
    ]
    return "\n".join(lines)


def survives(mutant: Mutant, tests: list[str]) -> bool:
    """Return whether the tests pass on a copy of the project with a mutant in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        file = copy / "modeling_ecso" / mutant.file
        file.write_text(broken_text(file.read_text("utf-8"), mutant), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
            cwd=copy,  # first on the path, so that the copy is what is imported
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    if done.returncode not in (0, 1):
        sys.exit(f"{mutant.name}: the tests could not be run\n{done.stdout[-2000:]}{done.stderr}")
    return done.returncode == 0


def main() -> int:
    """Try the mutants; returns 1 where one survives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of mutants (default: all)")
    parser.add_argument("--tests", nargs="+", default=DEFAULT_TESTS)
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"there is no mutant {sorted(unknown)}")
    survivors = 0
    for mutant in MUTANTS:
        if not chosen.names or mutant.name in chosen.names:
            lives = survives(mutant, chosen.tests)
            survivors += lives
            print(f"{'SURVIVED' if lives else 'killed':9} {mutant.name}", flush=True)
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
