"""The paper's figures, to stand beside ours: which models it has, and what its judge was.

The figures themselves stand in the benchmarks' records, read from the table images of the project
page (github.com/gyhdog99/gyhdog99.github.io, projects/ecso/static/images/).
"""

import re
from collections.abc import Mapping

from .benchmark import PaperPair
from .eval_run import DIRECT, EvalRun


SOURCE = "arXiv 2403.09572, tables on the project page"

_PAPER_JUDGE = re.compile(r"(^|/)gpt-4(-\d{4})?$")
# The last part of a model's name, in full: what follows it may be a fine-tune, of other figures.
_MODELS = {
    "LLaVA-1.5-7B": r"llava-?v?1\.5-7b(-hf)?",
    "ShareGPT4V-7B": r"sharegpt4v-7b(-hf)?",
    "mPLUG-Owl2-7B": r"mplug-owl2(-llama2)?(-7b)?",
    "Qwen-VL-Chat": r"qwen-vl-chat",
    "InternLM-XComposer-7B": r"internlm-xcomposer-7b",
}


def published_model(model: str) -> str | None:
    """Return the paper's name of a model; None where the paper has none of it."""
    last = re.split(r"[/\\]", model)[-1]
    for name, pattern in _MODELS.items():
        if re.fullmatch(pattern, last, re.IGNORECASE):
            return name
    return None


def published_pair(
    model: str, published: Mapping[str, Mapping[str, PaperPair]], name: str
) -> PaperPair | None:
    """Return the paper's figures of a model; None where it prints none.

    Args:
        model: As it stands in logs.
        published: Those of a benchmark's record.
        name: The figure's.
    """
    known = published_model(model)
    return published.get(known, {}).get(name) if known else None


def published_value(pair: PaperPair | None, variant: str) -> float | None:
    """Return the figure that belongs to a variant: the paper ran one protocol."""
    if pair is None:
        return None
    return pair.direct if variant == DIRECT else pair.protected


def other_judge(run: EvalRun, needs_published_prompts: bool) -> list[str]:
    """Say whether a run was judged otherwise than in the paper, whose judge is GPT-4."""
    is_published = bool(run.arguments.get("judge_prompts")) or not needs_published_prompts
    is_same = _PAPER_JUDGE.search(run.judge) and is_published
    return [] if is_same else ["other judge"]
