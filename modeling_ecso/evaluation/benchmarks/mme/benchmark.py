"""MME: the record."""

from typing import Any

from ...benchmark import Benchmark, Option, PaperPair
from ...eval_run import EvalRun
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import figures, scores_of
from .reader import PROMPTS, read_mme
from .scoring import SCORING


# Perception and cognition.
_PAPER = {
    "LLaVA-1.5-7B": (PaperPair(1507.4, 1507.4), PaperPair(355.7, 357.1)),
    "ShareGPT4V-7B": (PaperPair(1566.4, 1567.1), PaperPair(376.4, 380.7)),
    "mPLUG-Owl2-7B": (PaperPair(1456.0, 1456.0), PaperPair(345.7, 345.7)),
    "Qwen-VL-Chat": (PaperPair(1481.5, 1481.5), PaperPair(347.1, 347.1)),
    "InternLM-XComposer-7B": (PaperPair(1254.1, 1254.1), PaperPair(200.7, 200.7)),
}


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_mme(source, options["prompt"])


def _unreadable(run: EvalRun) -> int:
    return scores_of(run.samples).neither


def _differences(run: EvalRun) -> list[str]:
    """Say in what a run differs from the paper's, which asks with LLaVA's ending."""
    return [] if run.arguments.get("prompt") == "llava" else ["other prompt"]


BENCHMARK = Benchmark(
    name="mme",
    title="MME",
    place=3,
    measures="utility",
    about="Perception and cognition, by yes-or-no questions.",
    read=_read,
    scoring=SCORING,
    max_tokens=128,
    figures=figures,
    unreadable=_unreadable,
    unreadable_as="answers could not be read and count as wrong",
    export=export,
    unit="points",
    options=(
        Option(
            "prompt",
            "questions as distributed, or with LLaVA's ending as in the paper (default: official)",
            default="official",
            choices=PROMPTS,
        ),
    ),
    differences=_differences,
    published={
        model: {"perception": perception, "cognition": cognition}
        for model, (perception, cognition) in _PAPER.items()
    },
)
