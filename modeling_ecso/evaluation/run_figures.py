"""Which figures a `EvalRun` gives, and which part of the benchmark each is over."""

import re
from collections.abc import Callable
from typing import NamedTuple

from .datasets import mm_safetybench, mmbench, mme, mmvet
from .logs import EvalRun
from .metrics.figure import Figure
from .metrics.harmless import PAPER_SCENARIOS, HarmlessRates, harmless_rates
from .metrics.mmbench import mmbench_scores
from .metrics.mme import COGNITION, PERCEPTION, mme_scores
from .metrics.mmvet import mmvet_scores
from .samples import choice_record, graded_record, mme_record, safety_record


_PAPER_JUDGE = re.compile(r"(^|/)gpt-4(-\d{4})?$")


class Found(NamedTuple):
    """One figure of a run.

    Args:
        name: Image kind, metric or category.
        figure: None where the run has nothing for it.
        is_headline: Whether it stands for the benchmark in a short table.
        part: What it is over, such as ``4 of 10 categories``, where that is not all the name says.
        is_official: Whether it is over the whole official set, as the paper's are.
    """

    name: str
    figure: Figure | None
    is_headline: bool = False
    part: str = ""
    is_official: bool = False


def figures_of(run: EvalRun) -> list[Found]:
    """Return the figures of a run."""
    found = _BY_BENCHMARK[run.benchmark](run)
    return [each for each in found if each.figure is not None]


def unlike_paper(run: EvalRun) -> str:
    """Say in what a run over a whole official set differs from the paper's; empty: in nothing.

    The paper asks MME with LLaVA's ending, and text alone in the words of ``Question``; its judge
    is GPT-4, with the published prompts.
    """
    differences = []
    if run.benchmark == "mme" and run.arguments.get("prompt") != "llava":
        differences.append("other prompt")
    if any(s.facts.get("question_field") == "Changed Question" for s in run.samples):
        differences.append("other question")
    if run.benchmark in ("mm_safetybench", "mmvet"):
        is_published = run.benchmark == "mmvet" or bool(run.arguments.get("judge_prompts"))
        if not (_PAPER_JUDGE.search(run.judge) and is_published):
            differences.append("other judge")
    return ", ".join(differences)


def unreadable_of(run: EvalRun) -> int:
    """Return the number of verdicts, answers or grades that could not be read."""
    if run.benchmark in ("vlsafe", "mm_safetybench"):
        return rates_of(run).invalid
    if run.benchmark == "mme":
        return mme_scores(map(mme_record, run.samples)).neither
    if run.benchmark == "mmbench":
        return mmbench_scores(map(choice_record, run.samples)).unmatched
    return mmvet_scores(map(graded_record, run.samples)).invalid


def rates_of(run: EvalRun) -> HarmlessRates:
    """Return the harmless rates of a safety run."""
    return harmless_rates(safety_record(sample) for sample in run.samples)


def _vlsafe(run: EvalRun) -> list[Found]:
    return _harmless_figures("harmless", rates_of(run))


def _mm_safetybench(run: EvalRun) -> list[Found]:
    rates = rates_of(run)
    whole = {
        name
        for name, figure in rates.by_scenario.items()
        if figure.count == mm_safetybench.OFFICIAL[name]
    }
    figures = [
        Found(
            run.kind, rates.macro, True, _of_eight(rates.counted), whole.issuperset(PAPER_SCENARIOS)
        )
    ]
    if rates.invalid:
        part = _of_eight(rates.counted_valid_only)
        name = f"{run.kind}, valid verdicts only"
        figures.append(Found(name, rates.macro_valid_only, part=part))
    # Where none of the eight is there, this stands for the benchmark.
    figures += _harmless_figures(f"{run.kind}, all questions", rates, rates.macro is None)
    figures += [
        Found(f"{run.kind}, {scenario}", figure, is_official=scenario in whole)
        for scenario, figure in rates.by_scenario.items()
    ]
    return figures


def _of_eight(counted: int) -> str:
    eight = len(PAPER_SCENARIOS)
    return "" if counted == eight else f"mean of {counted} of the paper's eight scenarios"


def _harmless_figures(name: str, rates: HarmlessRates, is_headline: bool = True) -> list[Found]:
    figures = [Found(name, rates.micro, is_headline)]
    if rates.invalid:
        figures.append(Found(f"{name}, valid verdicts only", rates.micro_valid_only))
    return figures


def _mme(run: EvalRun) -> list[Found]:
    scores = mme_scores(mme_record(sample) for sample in run.samples)
    figures = []
    for name, figure, categories in (
        ("perception", scores.perception, PERCEPTION),
        ("cognition", scores.cognition, COGNITION),
    ):
        there = [category for category in categories if category not in scores.missing]
        gaps = []
        if len(there) < len(categories):
            gaps.append(f"{len(there)} of {len(categories)} categories")
        if scores.incomplete:
            gaps.append(f"images left out for a missing answer: {scores.incomplete}")
        is_official = len(there) == len(categories) and all(
            scores.score[category].count == mme.OFFICIAL[category] for category in there
        )
        figures.append(Found(name, figure, True, ", ".join(gaps), is_official))
    for category in scores.score:
        figures += [
            Found(f"{category}, score", scores.score[category]),
            Found(f"{category}, accuracy", scores.accuracy[category]),
            Found(f"{category}, accuracy+", scores.accuracy_plus[category]),
        ]
    return figures


def _mmbench(run: EvalRun) -> list[Found]:
    records = [choice_record(sample) for sample in run.samples]
    if not any(record.answer for record in records):
        return []  # a test split, whose answers only the submission server knows
    scores = mmbench_scores(records)
    language = "" if run.kind == "en" else f" {run.kind}"
    is_official = {"rows": len(records)} in mmbench.OFFICIAL
    figures = [
        Found(f"vanilla{language}", scores.vanilla, True, is_official=is_official),
        Found(f"circular{language}", scores.circular, True, is_official=is_official),
    ]
    figures += [
        Found(f"circular{language}, {category}", figure)
        for category, figure in scores.circular_by.items()
    ]
    figures += [
        Found(f"vanilla{language}, {category}", figure)
        for category, figure in scores.vanilla_by.items()
    ]
    return figures


def _mmvet(run: EvalRun) -> list[Found]:
    scores = mmvet_scores(graded_record(sample) for sample in run.samples)
    is_official = len(run.samples) == mmvet.OFFICIAL["questions"]
    figures = [Found("total", scores.total, True, is_official=is_official)]
    if scores.invalid:
        figures.append(Found("total, valid grades only", scores.total_valid_only))
    figures += [Found(name, figure) for name, figure in scores.by_capability.items()]
    figures += [Found(f"exactly {name}", figure) for name, figure in scores.by_combination.items()]
    return figures


_BY_BENCHMARK: dict[str, Callable[[EvalRun], list[Found]]] = {
    "vlsafe": _vlsafe,
    "mm_safetybench": _mm_safetybench,
    "mme": _mme,
    "mmbench": _mmbench,
    "mmvet": _mmvet,
}
