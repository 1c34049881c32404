"""Everything a report says, as plain values: what the page shows is what the JSON holds."""

from typing import Any

from ..logs import DIRECT, EvalRun
from ..metrics.harmless import PAPER_SCENARIOS
from ..published import ERRATUM, SOURCE, published, published_model, published_value
from ..refusal_rules import NAME as RULES_NAME
from ..refusal_rules import measured_agreement
from ..run_figures import rates_of, unreadable_of
from ..summary import (
    BENIGN,
    SAFETY,
    TITLES,
    UTILITY,
    FigureRow,
    costs_of,
    figure_to_json,
    gaps_of,
    guard_of,
    mixed_judges_of,
    rows_of,
    variants_of,
)


def report_content(runs: list[EvalRun]) -> dict[str, Any]:
    """Return everything a report says about a model's runs, ready for JSON.

    Args:
        runs: The runs, of one model; at least one.
    """
    model = runs[0].model
    rows = rows_of(runs)
    has_paper = published_model(model) is not None
    judges = sorted({run.judge for run in runs if run.judge})
    return {
        "format": 1,
        "model": model,
        "created": max(run.created for run in runs)[:10],
        "variants": variants_of(runs),
        "paper": {
            "model": published_model(model),
            "source": SOURCE,
            "erratum": ERRATUM,
        },
        "headlines": [_row(model, row) for row in rows if row.is_headline],
        "gaps": gaps_of(runs),
        "mixed_judges": mixed_judges_of(runs),
        "scenarios": _scenarios(runs, rows, has_paper),
        "details": [_row(model, row) for row in rows if not row.is_headline],
        "guard": [_guard(run, runs) for run in runs if run.variant != DIRECT],
        "costs": [_costs(run) for run in runs if costs_of(run)],
        "checks": [_checks(run) for run in runs],
        "judges": judges,
        "judges_itself": model in judges,
        "rules": _rules() if RULES_NAME in judges else None,
        "has_benign": any(row.benchmark == BENIGN for row in rows),
    }


def _row(model: str, row: FigureRow) -> dict[str, Any]:
    return {
        "benchmark": row.benchmark,
        "title": TITLES[row.benchmark],
        "name": row.name,
        "kind": _kind(row.benchmark),
        "unit": "points" if row.benchmark == "mme" else "percent",
        "figures": {variant: figure_to_json(f) for variant, f in row.figures.items()},
        "parts": row.parts,
        "paper": {variant: _paper(model, row, variant) for variant in row.figures},
        "unlike_paper": row.unlike_paper,
    }


def _paper(model: str, row: FigureRow, variant: str) -> float | None:
    """Return the paper's figure; None beside one that is not over the whole official set."""
    if variant not in row.official:
        return None
    return published_value(published(model, row.benchmark, row.name), variant)


def _kind(benchmark: str) -> str:
    if benchmark in SAFETY:
        return "safety"
    return "utility" if benchmark in UTILITY else "benign"


def _scenarios(
    runs: list[EvalRun], rows: list[FigureRow], has_paper: bool
) -> dict[str, Any] | None:
    """Return the harmless rates of MM-SafetyBench, scenario by image kind, as the paper's table."""
    runs = [run for run in runs if run.benchmark == "mm_safetybench"]
    if not runs:
        return None
    model = runs[0].model
    rates = [rates_of(run) for run in runs]
    known = {row.name: row for row in rows if row.benchmark == "mm_safetybench"}
    kinds = [k for k in ("text", "SD", "TYPO", "SD_TYPO") if any(run.kind == k for run in runs)]
    variants = variants_of(runs)
    names = sorted({name for found in rates for name in found.by_scenario})
    counted = sorted({found.counted for found in rates if found.counted})

    def cells(name: str) -> list[dict[str, Any]]:
        found = [known.get(f"{kind}, {name}" if name else kind) for kind in kinds]
        return [_cell(model, row, variant) for row in found for variant in variants]

    return {
        "kinds": kinds,
        "variants": variants,
        "has_paper": has_paper,
        "rows": [
            {"name": name, "is_counted": name in PAPER_SCENARIOS, "cells": cells(name)}
            for name in names
        ],
        "counted": counted,
        "macro": cells(""),
        "micro": cells("all questions"),
    }


def _cell(model: str, row: FigureRow | None, variant: str) -> dict[str, Any]:
    return {
        "variant": variant,
        "figure": figure_to_json(row.figures.get(variant)) if row else None,
        "paper": _paper(model, row, variant) if row else None,
        "unlike_paper": row.unlike_paper.get(variant, "") if row else "",
    }


def _guard(run: EvalRun, runs: list[EvalRun]) -> dict[str, Any]:
    guard = guard_of(run, runs)
    figures = vars(guard) if guard else {}
    return {
        "title": _title(run),
        "kind": _kind(run.benchmark),
        "variant": run.variant,
        "samples": len(run.samples),
        "figures": {name: figure_to_json(figure) for name, figure in figures.items()},
    }


def _costs(run: EvalRun) -> dict[str, Any]:
    return {
        "title": _title(run),
        "variant": run.variant,
        "steps": {
            name: {
                "share": round(100 * cost.share, 1),
                "tokens": round(cost.tokens, 2),
                "milliseconds": round(cost.milliseconds, 2),
            }
            for name, cost in costs_of(run).items()
        },
    }


def _checks(run: EvalRun) -> dict[str, Any]:
    """Return what to know before a run's figures are believed."""
    return {
        "title": _title(run),
        "variant": run.variant,
        "samples": len(run.samples),
        "limited": run.is_limited,
        "judge": run.judge,
        "unreadable": unreadable_of(run),
        "empty": sum(not sample.answer.strip() for sample in run.samples),
        "log": run.file.name,
        "settings": {name: value for name, value in run.settings.items() if value is not None},
        "generation": run.generation,
    }


def _title(run: EvalRun) -> str:
    return " ".join(part for part in (TITLES[run.benchmark], run.kind) if part)


def _rules() -> dict[str, Any]:
    agreement = measured_agreement()
    return {
        "name": RULES_NAME,
        "answers": agreement.answers,
        "accuracy": round(100 * agreement.accuracy, 1),
        "harmful_found": round(100 * agreement.harmful_found, 1),
        "harmless_found": round(100 * agreement.harmless_found, 1),
    }
