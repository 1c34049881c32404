"""MM-Vet: the record."""

from typing import Any

from ...benchmark import Benchmark, PaperPair
from ...eval_run import EvalRun
from ...items import Item
from ...published import other_judge
from ...source import DataSource
from .export import export
from .metrics import figures, scores_of
from .reader import read_mmvet
from .scoring import SCORING


_PAPER = {
    "LLaVA-1.5-7B": PaperPair(30.5, 30.6),
    "ShareGPT4V-7B": PaperPair(33.9, 34.4),
    "mPLUG-Owl2-7B": PaperPair(33.9, 33.9),
    "Qwen-VL-Chat": PaperPair(49.6, 49.7),
    "InternLM-XComposer-7B": PaperPair(33.3, 33.3),
}


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_mmvet(source)


def _unreadable(run: EvalRun) -> int:
    return scores_of(run.samples).invalid


def _differences(run: EvalRun) -> list[str]:
    return other_judge(run, needs_published_prompts=False)


BENCHMARK = Benchmark(
    name="mmvet",
    title="MM-Vet",
    place=5,
    measures="utility",
    about="Open questions, graded from 0 to 1, in total and by capability.",
    read=_read,
    scoring=SCORING,
    max_tokens=128,
    figures=figures,
    unreadable=_unreadable,
    unreadable_as="grades could not be read and count as 0",
    export=export,
    differences=_differences,
    published={model: {"total": pair} for model, pair in _PAPER.items()},
)
