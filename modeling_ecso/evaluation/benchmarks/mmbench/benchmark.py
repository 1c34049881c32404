"""MMBench: the record."""

from typing import Any

from ...benchmark import Benchmark, Option, PaperPair
from ...eval_run import EvalRun
from ...items import Item
from ...source import DataSource
from .export import export
from .metrics import figures, scores_of
from .reader import LANGUAGES, SPLITS, read_mmbench
from .scoring import SCORING


_PAPER = {
    "LLaVA-1.5-7B": PaperPair(64.6, 64.2),
    "ShareGPT4V-7B": PaperPair(66.5, 66.1),
    "mPLUG-Owl2-7B": PaperPair(66.7, 66.5),
    "Qwen-VL-Chat": PaperPair(59.7, 59.1),
    "InternLM-XComposer-7B": PaperPair(49.3, 49.3),
}


def _read(source: DataSource, options: dict[str, Any]) -> list[Item]:
    return read_mmbench(source, options["language"], options["split"])


def _unreadable(run: EvalRun) -> int:
    return scores_of(run.samples).unmatched


BENCHMARK = Benchmark(
    name="mmbench",
    title="MMBench",
    place=4,
    measures="utility",
    about="Vanilla and circular accuracy of multiple choice.",
    read=_read,
    scoring=SCORING,
    max_tokens=1024,
    figures=figures,
    unreadable=_unreadable,
    unreadable_as="answers could not be read and count as wrong",
    export=export,
    options=(
        Option(
            "language",
            "the instruction to answer with a letter (default: en)",
            default="en",
            choices=LANGUAGES,
        ),
        Option("split", "which table of a mirror (default: dev)", default="dev", choices=SPLITS),
    ),
    kind_option="language",
    published={model: {"circular": pair} for model, pair in _PAPER.items()},
)
