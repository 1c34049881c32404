"""What docs/deployment.md says: its arithmetic is right and its commands have their flags."""

import json
import re
from pathlib import Path

from modeling_ecso.cli import main


PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "deployment.md").read_text("utf-8")


def test_the_cost_table_follows_from_the_formulas():
    image, query, draft, safe, caption = 576, 30, 200, 200, 100
    rows = PAGE.split("<!-- cost per request -->")[1].strip().splitlines()[2:]
    assert len(rows) == 4
    for row in rows:
        flagged, *shown = (cell.strip() for cell in row.strip("|").split("|"))
        share = float(flagged.split()[0]) / 100
        cached = image + query + (query + draft + 35) + share * (2 * query + caption + 65)
        decoded = draft + 2 + share * (caption + safe)
        figures = [cached, cached + image + share * image, decoded]
        assert shown[:3] == [f"{figure:.0f}" for figure in figures]
        assert shown[3] == f"{decoded / draft:.2f}"


def test_every_flag_of_the_gateway_exists(capsys):
    try:
        main(["serve", "--help"])
    except SystemExit:
        pass
    known = capsys.readouterr().out
    prose = re.findall(r"`(--[a-z-]+)", PAGE)
    command = re.findall(r"--[a-z-]+", re.search(r"^ecso serve .*$", PAGE, re.MULTILINE)[0])
    for flag in {*prose, *command} - {"--disable-radix-cache"}:
        assert flag in known, flag


def test_the_load_figures_are_those_that_were_measured():
    shown = PAGE.split("<!-- load -->")[1]
    results = PROJECT / "examples" / "load" / "results"
    columns = [
        json.loads((results / f"{name}.json").read_text("utf-8")) for name in ("scripted", "tiny")
    ]
    for row in shown.strip().splitlines()[2:]:
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        for cell, figures in zip(cells, columns, strict=True):
            value = figures.get(name, "–")
            if name == "gateway memory, MB":
                value = f"{value['start']:.0f} to {value['4/4']:.0f}"
            assert cell == (f"{value:,}" if isinstance(value, int) else str(value)), name
