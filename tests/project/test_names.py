"""A name stands for one thing."""

import ast
from collections import Counter

from tests.support.scripts import PROJECT


def test_no_class_name_stands_twice():
    files = [
        file for room in ("modeling_ecso", "hub_upload") for file in (PROJECT / room).rglob("*.py")
    ]
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    names = Counter(
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    )
    assert len(names) > 100 and [name for name, times in names.items() if times > 1] == []
