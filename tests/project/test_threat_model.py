"""What the pages say can be followed: named tests exist, links lead somewhere."""

import ast
import re

import pytest

from tests.support.scripts import PROJECT


THREAT_MODEL = (PROJECT / "docs" / "threat-model.md").read_text("utf-8")
PAGES = sorted(
    page for where in ("*.md", "docs/*.md", "examples/**/*.md") for page in PROJECT.glob(where)
)


def anchors_of(page):
    """Return the anchors that a forge makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_line_of_a_table_names_a_test():
    rows = re.findall(r"^\| (?!attack)[^-].*\|$", THREAT_MODEL, re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", row.split("|")[3]), row


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", THREAT_MODEL))
    assert len(named) > 60 and THREAT_MODEL.count("`tests/") == THREAT_MODEL.count(".py::test_")
    for file, test in sorted(named):
        tree = ast.parse((PROJECT / file).read_text("utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there), target
