"""What docs/deployment.md says: its arithmetic is right and its commands have their flags."""

import json
import re
from pathlib import Path

from modeling_ecso.cli import main


PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "deployment.md").read_text("utf-8")


OF_MODEL_SERVERS = {
    *("--block-size", "--enable-prefix-caching", "--limit-mm-per-prompt", "--max-logprobs"),
    *("--chat-template-content-format", "--reasoning-parser", "--return-tokens-as-token-ids"),
    *("--shutdown-timeout", "--disable-radix-cache", "--limit-mm-data-per-request"),
}


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


def flags_of(command, capsys):
    try:
        main([command, "--help"])
    except SystemExit:
        pass
    return set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def test_every_flag_exists(capsys):
    known = {command: flags_of(command, capsys) for command in ("serve", "demo")}
    for command, flags in known.items():
        lines = re.findall(rf"^ecso {command} .*$", PAGE, re.MULTILINE)
        assert lines and set(re.findall(r"--[a-z-]+", " ".join(lines))) <= flags
    prose = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert prose - OF_MODEL_SERVERS <= known["serve"] | known["demo"]


def test_the_limits_are_those_of_the_command(capsys):
    try:
        main(["serve", "--help"])
    except SystemExit:
        pass
    known = " ".join(capsys.readouterr().out.split())
    limits = PAGE.split("| limit | default | beyond it |")[1].split("\n\n")[0]
    seen = 0
    for row in limits.strip().splitlines()[1:]:
        flags, defaults = row.strip("|").split("|")[:2]
        values = re.findall(r"[\d,]*\d", defaults)
        for flag, value in zip(re.findall(r"--[a-z-]+", flags), values, strict=False):
            shown = re.search(rf"{flag} N .*?\(default: ([\d.]+)\)", known)
            assert float(shown[1]) == float(value.replace(",", "")), flag
            seen += 1
    assert seen == 10


def test_the_hostile_figures_are_those_that_were_measured():
    shown = PAGE.split("<!-- hostile -->")[1].strip().splitlines()
    path = PROJECT / "examples" / "load" / "results" / "hostile.json"
    measured = json.loads(path.read_text("utf-8"))
    names = [cell.strip() for cell in shown[0].strip("|").split("|")][1:]
    assert len(shown[2:]) == len(measured)
    for row, figures in zip(shown[2:], measured.values(), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        assert cells == [str(figures[name]) for name in names]


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
