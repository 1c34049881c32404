"""Everything a report says, as plain values: what the page shows is what the JSON holds."""

from collections.abc import Sequence
from typing import Any

from ..agreement import Agreement
from ..attack_table import AttackTable, attack_table_to_json, headline
from ..benchmark import ScenarioTable
from ..benchmarks import all_benchmarks, get_benchmark, listed
from ..calibration.facts import facts_of
from ..eval_run import DIRECT, EvalRun
from ..published import SOURCE, published_model, published_pair, published_value
from ..refusal_rules import NAME as RULES_NAME
from ..refusal_rules import measured_agreement
from ..summary import (
    BENIGN,
    FigureRow,
    costs_of,
    figure_to_json,
    gaps_of,
    guard_of,
    mixed_judges_of,
    read_as_text_of,
    rows_of,
    title_of,
    title_of_run,
    unit_of,
    variants_of,
)
from .answers import answers


def report_content(
    runs: list[EvalRun],
    calibration: dict[str, Any] | None = None,
    attacks: AttackTable | None = None,
    agreed: Sequence[Agreement] = (),
) -> dict[str, Any]:
    """Return everything a report says about a model's runs, ready for JSON.

    Args:
        runs: The runs, of one model; at least one.
        calibration: What `ecso calibrate` found about the model; None: it was not run.
        attacks: What came of the model under attack; None: no attack was tried.
        agreed: How far judges of the same answers agree.
    """
    model = runs[0].model
    rows = rows_of(runs)
    tables = [
        _scenarios(table, [run for run in runs if run.benchmark == benchmark.name], rows)
        for benchmark in all_benchmarks()
        if (table := benchmark.scenario_table)
        and any(run.benchmark == benchmark.name for run in runs)
    ]
    judges = sorted({run.judge for run in runs if run.judge})
    return {
        "format": 1,
        "model": model,
        "created": max(run.created for run in runs)[:10],
        "answers": [vars(each) for each in answers(runs, attacks, calibration)],
        "variants": variants_of(runs),
        "paper": {
            "model": published_model(model),
            "source": SOURCE,
            "erratum": " ".join(each.erratum for each in all_benchmarks() if each.erratum),
        },
        "headlines": [_row(model, row) for row in rows if row.is_headline],
        "gaps": gaps_of(runs),
        "read_as_text": read_as_text_of(runs),
        "mixed_judges": mixed_judges_of(runs),
        "scenarios": tables[0] if tables else None,
        "further_scenarios": tables[1:],
        "details": [_row(model, row) for row in rows if not row.is_headline],
        "guard": [_guard(run, runs) for run in runs if run.variant != DIRECT],
        "costs": [_costs(run) for run in runs if costs_of(run)],
        "checks": [_checks(run) for run in runs],
        "judges": judges,
        "agreement": [each.to_json() for each in agreed],
        "judges_itself": model in judges,
        "rules": _rules() if RULES_NAME in judges else None,
        "has_benign": any(row.benchmark == BENIGN for row in rows),
        "benchmarks": _benchmarks(),
        "calibration": calibration and {**calibration, "facts": facts_of(calibration)},
        "attacks": attacks and attack_table_to_json(attacks),
    }


def calibration_summary(calibration: dict[str, Any] | None) -> dict[str, Any]:
    """Return the headlines of a calibration for ``summary.json``; empty: it was not run."""
    if calibration is None:
        return {}
    chosen, area = calibration["chosen"], calibration["area"]
    found = {
        "advice": calibration["advice"],
        "threshold": chosen and chosen["value"],
        "flagged": chosen and chosen["flagged"],
        "found": chosen and chosen["found"],
        "area_under_roc": area and area["value"],
    }
    return {"calibration": found}


def _percents(attacks: AttackTable, name: str) -> dict[str, dict[str, float]]:
    """Return a share of the cells by attack and variant, where there is one."""
    return {
        row.attack: {
            variant: round(getattr(cell, name).value, 2)
            for variant, cell in row.cells.items()
            if getattr(cell, name)
        }
        for row in attacks.rows
    }


def attacks_summary(attacks: AttackTable | None) -> dict[str, Any]:
    """Return the headlines under attack for ``summary.json``; empty: no attack was tried."""
    if attacks is None:
        return {}
    found = {
        "headline": headline(attacks),
        "worst": {variant: share.to_json() for variant, share in attacks.worst.items()},
        "harmless": _percents(attacks, "harmless"),
        "flagged": _percents(attacks, "flagged"),
        "not_perceived": [row.attack for row in attacks.rows if row.is_perceived is False],
    }
    return {"attacks": found}


def _benchmarks() -> dict[str, Any]:
    """Return what a reader must know of the benchmarks there are, measured or not."""
    known = all_benchmarks()
    return {
        "benign": listed(tuple(each.title for each in known if each.measures == "utility")),
        "in_points": " and ".join(each.title for each in known if each.unit == "points"),
        "notes": [each.reading_note for each in known if each.reading_note],
    }


def _row(model: str, row: FigureRow) -> dict[str, Any]:
    return {
        "benchmark": row.benchmark,
        "title": title_of(row.benchmark),
        "name": row.name,
        "kind": BENIGN if row.benchmark == BENIGN else get_benchmark(row.benchmark).measures,
        "unit": unit_of(row),
        "figures": {variant: figure_to_json(f) for variant, f in row.figures.items()},
        "parts": row.parts,
        "paper": {variant: _paper(model, row, variant) for variant in row.figures},
        "unlike_paper": row.unlike_paper,
    }


def _paper(model: str, row: FigureRow, variant: str) -> float | None:
    """Return the paper's figure; None beside one that is not over the whole official set."""
    if variant not in row.official:
        return None
    known = get_benchmark(row.benchmark).published
    return published_value(published_pair(model, known, row.name), variant)


def _scenarios(table: ScenarioTable, runs: list[EvalRun], rows: list[FigureRow]) -> dict[str, Any]:
    """Return the figures of a benchmark, scenario by kind, as the paper's table.

    Args:
        table: Of the benchmark.
        runs: Those of the benchmark; at least one.
        rows: All figures.
    """
    benchmark, model = get_benchmark(runs[0].benchmark), runs[0].model
    rates = [table.rates(run) for run in runs]
    known = {row.name: row for row in rows if row.benchmark == benchmark.name}
    kinds = [kind for kind in benchmark.kinds if any(run.kind == kind for run in runs)]
    variants = variants_of(runs)
    names = sorted({name for found in rates for name in found})
    counted = sorted({table.counted_in(found) for found in rates} - {0})

    def cells(name: str) -> list[dict[str, Any]]:
        found = [known.get(f"{kind}, {name}" if name else kind) for kind in kinds]
        return [_cell(model, row, variant) for row in found for variant in variants]

    part = "" if counted == [len(table.counted)] else f"{' or '.join(map(str, counted))} of "
    return {
        "title": benchmark.title,
        "kinds": kinds,
        "variants": variants,
        "has_paper": published_model(model) is not None,
        "rows": [
            {"name": name, "is_counted": name in table.counted, "cells": cells(name)}
            for name in names
        ],
        "counted": counted,
        "mean_of": f"{part}the paper's {table.number}",
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
        "title": title_of_run(run),
        "kind": get_benchmark(run.benchmark).measures,
        "variant": run.variant,
        "samples": len(run.samples),
        "figures": {name: figure_to_json(figure) for name, figure in figures.items()},
    }


def _costs(run: EvalRun) -> dict[str, Any]:
    return {
        "title": title_of_run(run),
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
        "title": title_of_run(run),
        "variant": run.variant,
        "samples": len(run.samples),
        "limited": run.is_limited,
        "judge": run.judge,
        "unreadable": get_benchmark(run.benchmark).unreadable(run),
        "empty": sum(not sample.answer.strip() for sample in run.samples),
        "log": run.file.name,
        "provider_arguments": {
            name: value for name, value in run.provider_arguments.items() if value is not None
        },
        "generation": run.generation,
    }


def _rules() -> dict[str, Any]:
    agreement = measured_agreement()
    return {
        "name": RULES_NAME,
        "answers": agreement.answers,
        "accuracy": round(100 * agreement.accuracy, 1),
        "harmful_found": round(100 * agreement.harmful_found, 1),
        "harmless_found": round(100 * agreement.harmless_found, 1),
    }
