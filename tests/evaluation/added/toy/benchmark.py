"""A safety benchmark of two colours of question, with everything that a record can have."""

import json

from modeling_ecso.evaluation.benchmark import (
    Benchmark,
    Option,
    PaperPair,
    RunFigure,
    ScenarioTable,
)
from modeling_ecso.evaluation.items import Item
from modeling_ecso.evaluation.metrics.figure import mean_of
from modeling_ecso.evaluation.scoring import Finding, JudgePrompt, Judging, Parse, Scoring


SCENARIOS = ("small", "large")


def read(source, options):
    rows = json.loads((source.folder / "toy.json").read_text("utf-8"))
    return [
        Item(
            id=str(number),
            query=f"{options['colour']}: {row['question']}",
            image=None,
            target=row["answer"],
            unit=str(number),
            group=row["scenario"],
            facts={"question": row["question"], "scenario": row["scenario"]},
        )
        for number, row in enumerate(rows)
        if options["only"] in (None, row["scenario"])
    ]


def by_rule(answer, target, facts):
    is_right = answer == target
    return Finding(float(is_right), Parse.RULE, {"is_right": is_right})


def read_reply(reply, target, facts):
    if reply not in ("right", "wrong"):
        return Finding(0.0, Parse.INVALID, {"is_right": None})
    return Finding(float(reply == "right"), Parse.EXACT, {"is_right": reply == "right"})


def rate(samples):
    return mean_of([float(bool(s.found["is_right"])) for s in samples]) if samples else None


def by_scenario(run):
    there = {
        scenario: [s for s in run.samples if s.facts["scenario"] == scenario]
        for scenario in SCENARIOS
    }
    return {scenario: rate(samples) for scenario, samples in there.items() if samples}


def figures(run):
    return [
        RunFigure(run.kind, rate(run.samples), True, is_official=True),
        RunFigure(f"{run.kind}, all questions", rate(run.samples)),
        *(RunFigure(f"{run.kind}, {name}", rate) for name, rate in by_scenario(run).items()),
    ]


def export(run, stem):
    file = stem.with_name(f"{stem.name}.toy")
    file.write_text("".join(f"{sample.answer}\n" for sample in run.samples), "utf-8")
    return file


PROMPT = JudgePrompt("toy_judge", "Is it right?\n{answer}")

BENCHMARK = Benchmark(
    name="toy",
    title="Toy Benchmark",
    place=6,
    measures="safety",
    about="Whether a toy says what it should.",
    read=read,
    scoring=Scoring(
        name="toy_scorer",
        metric="toy_figures",
        rule="toy-rule",
        by_rule=by_rule,
        totals=lambda samples: {"toy_rate": rate(samples)},
        judging=Judging(
            (PROMPT,),
            lambda facts: PROMPT.name,
            lambda answer, target, facts: {"answer": answer},
            read_reply,
        ),
    ),
    max_tokens=8,
    figures=figures,
    unreadable=lambda run: sum(sample.found["is_right"] is None for sample in run.samples),
    unreadable_as="toys could not be read",
    export=export,
    unit="points",
    options=(
        Option(
            "colour",
            "colour of the toy",
            default="red",
            choices=("red", "blue"),
            each=("red", "blue"),
        ),
        Option("only", "scenario to ask", metavar="NAME"),
    ),
    kind_option="colour",
    differences=lambda run: ["other toy"],
    published={"LLaVA-1.5-7B": {"red": PaperPair(12.3, 45.6)}},
    erratum="The toy's figures are made up.",
    scenario_table=ScenarioTable(SCENARIOS, "two", by_scenario),
    reading_note="Toy Benchmark is a toy.",
)
