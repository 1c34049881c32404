"""The mutants fit the core as it is, and the tool can tell a killed one from a survivor."""

import pytest

from tests.support.mutants import MUTANTS, PROJECT, Mutant, broken_text


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_core_and_is_python(mutant):
    text = (PROJECT / "modeling_ecso" / mutant.file).read_text("utf-8")
    broken = broken_text(text, mutant)
    assert broken != text
    compile(broken, mutant.file, "exec")


def test_lines_are_replaced_with_their_indentation():
    mutant = Mutant("a name", "a file", "one()\nif two:\n    three()", "four()\nfive()")
    text = "def f():\n    one()\n    if two:\n        three()\n    six()\n"
    assert broken_text(text, mutant) == "def f():\n    four()\n    five()\n    six()\n"
    for wrong in ("def f():\n    one()\n", text + text):
        with pytest.raises(LookupError, match="a name: its lines are in a file [02] times"):
            broken_text(wrong, mutant)
