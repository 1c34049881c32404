"""Breaks the core on purpose, one promise at a time, and says whether the tests notice.

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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


PROJECT = Path(__file__).parents[2]
LEFT_BEHIND = ("tests/project/test_left_behind.py",)
INTERRUPTS = ("tests/core/test_interrupts.py",)
CALLBACKS = ("tests/core/test_callbacks.py",)
CAPTION = ("tests/core/test_caption.py",)
CHATS = ("tests/core/test_chat_formats.py",)
FIELDS = ("tests/core/test_fields.py",)
WHOLE_ANSWER = ("tests/core/test_whole_answer.py",)
COPIED = ("modeling_ecso", "tests", "setup.cfg")


class Mutant(NamedTuple):
    """One way to break a promise of the core.

    Args:
        name: What is wrong with it.
        file: Module of the package.
        lines: Lines that stand there once, without their indentation.
        broken: What takes their place, without it too; empty for nothing.
        tests: Files of tests that are there to notice.
    """

    name: str
    file: str
    lines: str
    broken: str
    tests: tuple[str, ...] = LEFT_BEHIND


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
        "self._direct, self._answers, self._protocols, self._steps = None, {}, [], None",
        "self._kept = (self._direct, self._answers, getattr(self, '_kept', None))\n"
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
        "setattr(output, CACHE_ARGUMENT, None)",
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
        "the frames of an interrupt stay",
        "run_ecso.py",
        "what = describe_error(error)\nstrip_frames(error)",
        "what = describe_error(error)\nif isinstance(error, Exception):\n    strip_frames(error)",
    ),
    Mutant(
        "the frames of every error stay",
        "errors_ecso.py",
        "each.__traceback__ = each.__context__ = each.__cause__ = None",
        "",
    ),
    Mutant(
        "an error is stripped, its members are not",
        "errors_ecso.py",
        "waiting += each.exceptions",
        "pass",
        INTERRUPTS,
    ),
    Mutant(
        "notes on an error stay",
        "errors_ecso.py",
        'vars(each).pop("__notes__", None)',
        "",
        INTERRUPTS,
    ),
    Mutant(
        "an error keeps what an attribute was looked for in",
        "errors_ecso.py",
        "each.obj = None  # where the attribute was looked for",
        "pass",
        INTERRUPTS,
    ),
    Mutant(
        "an interrupt while another error is stripped keeps its frames",
        "run_ecso.py",
        "strip_frames(error)\nstripped = error",
        "stripped = error.with_traceback(error.__traceback__)",
        INTERRUPTS,
    ),
    Mutant(
        "the draft is taken for gone before it is",
        "run_ecso.py",
        "stripped = self._without_draft(error)\nself._holds_draft = False",
        "self._holds_draft = False\nstripped = self._without_draft(error)",
        INTERRUPTS,
    ),
    Mutant(
        "an interrupt leaves the model marked as writing",
        "generation_ecso.py",
        "inside.run(WRITING.set, (*WRITING.get(), self._model, assistant))",
        "WRITING.set((*WRITING.get(), self._model, assistant)); inside = copy_context()",
        INTERRUPTS,
    ),
    Mutant(
        "callbacks count as part of the decoding loop",
        "isolation_ecso.py",
        "before = WRITING.set(())",
        "before = WRITING.set(WRITING.get())",
        CALLBACKS,
    ),
    Mutant(
        "the functions that transformers' callbacks call count as part of the loop",
        "isolation_ecso.py",
        "vars(callback).update(functions)",
        "pass",
        CALLBACKS,
    ),
    Mutant(
        "the caption is kept in the trace",
        "protocol_ecso.py",
        "return self._caption if self._ecso_config.keep_caption else None",
        "return self._caption",
        CAPTION,
    ),
    Mutant(
        "the caption is not kept within its quotes",
        "prompts_ecso.py",
        "caption = _within_quotes(caption)",
        "pass",
        CAPTION,
    ),
    Mutant(
        "marks are looked for as they stand alone",
        "prompts_ecso.py",
        'return _MARKS.sub(r"\\g<0> ", text.translate(_WHOLE_MARKS))',
        'return re.sub("<(?=<)|>(?=>)", r"\\g<0> ", text)',
        FIELDS,
    ),
    Mutant(
        "the beginning of the turn is not judged",
        "run_ecso.py",
        "begun=said.begun,",
        "",
        WHOLE_ANSWER,
    ),
    Mutant(
        "earlier answers are not judged",
        "run_ecso.py",
        "earlier_answers=said.earlier_answers,",
        "",
        WHOLE_ANSWER,
    ),
    Mutant(
        "all windows but the first are dropped",
        "prompts_ecso.py",
        "parts = _windows(turn, size, overlap)",
        "return _windows(turn, size, overlap)[:1]",
        WHOLE_ANSWER,
    ),
    Mutant(
        "short windows are dropped",
        "prompts_ecso.py",
        "if not in_short_windows:",
        "if turn:",
        WHOLE_ANSWER,
    ),
    Mutant(
        "no setting is known to keep an answer from ending",
        "request_ecso.py",
        "defaults = generation_config._get_default_generation_params()",
        "return False",
        WHOLE_ANSWER,
    ),
    Mutant(
        "the worse beams are taken for ended",
        "request_ecso.py",
        'or generation_config.early_stopping == "never"',
        "or (generation_config.num_beams or 1) < 1",
        WHOLE_ANSWER,
    ),
    Mutant(
        "text in front opens the steps",
        "prompts_ecso.py",
        "if trust_system_text or not leading:",
        "if True:",
        CHATS,
    ),
    Mutant(
        "the reader is kept whatever changes",
        "conversation_ecso.py",
        "is_same = is_same and self._vocabulary == self._vocabulary_now()",
        "is_same = bool(is_same)",
        CHATS,
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


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
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
    parser.add_argument("--tests", nargs="+", help="(default: those of the mutant)")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"there is no mutant {sorted(unknown)}")
    survivors = 0
    for mutant in MUTANTS:
        if not chosen.names or mutant.name in chosen.names:
            lives = survives(mutant, chosen.tests or mutant.tests)
            survivors += lives
            print(f"{'SURVIVED' if lives else 'killed':9} {mutant.name}", flush=True)
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
