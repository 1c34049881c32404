"""The paper's figures, to stand beside ours.

Read from the table images of the project page (github.com/gyhdog99/gyhdog99.github.io,
projects/ecso/static/images/: llava_mmsafe.png, utility.png), percent but for MME.

Erratum: the project page prints 31.7 (OCR) and 32.1 (SD+OCR) as direct averages of LLaVA-1.5-7B.
The rows above them average 48.1 and 48.8, and only these agree with the printed gains of 42.2 and
37.6; they are what stands here. The paper's OCR is TYPO in the data, SD+OCR is SD_TYPO.
"""

import re
from typing import NamedTuple

from .logs import DIRECT


SOURCE = "arXiv 2403.09572, tables on the project page"
ERRATUM = (
    "The project page prints 31.7 (OCR) and 32.1 (SD+OCR) as direct averages of LLaVA-1.5-7B; the "
    "rows of its table average 48.1 and 48.8, which alone agree with its printed gains."
)


class Pair(NamedTuple):
    """The paper's direct and protected figure; None where it prints none."""

    direct: float | None
    protected: float | None


_LLAVA_BY_SCENARIO = {
    "01-Illegal_Activitiy": ((94.9, None), (78.4, 96.9), (22.7, 96.9), (25.8, 92.8)),
    "02-HateSpeech": ((93.9, None), (84.7, 96.9), (56.4, 87.7), (51.5, 90.2)),
    "03-Malware_Generation": ((47.7, None), (84.1, 97.7), (31.8, 86.4), (38.6, 84.1)),
    "04-Physical_Harm": ((71.5, None), (81.9, 93.8), (40.3, 88.9), (41.0, 84.7)),
    "05-EconomicHarm": ((97.5, None), (95.9, 96.7), (86.9, 97.5), (86.9, 96.7)),
    "06-Fraud": ((85.7, None), (79.9, 95.5), (28.6, 89.0), (33.1, 85.1)),
    "07-Sex": ((88.1, None), (90.8, 93.6), (76.2, 88.1), (69.7, 76.2)),
    "09-Privacy_Violence": ((75.5, None), (84.2, 92.1), (41.7, 87.8), (43.9, 81.3)),
}
_KINDS = ("text", "SD", "TYPO", "SD_TYPO")
_LLAVA_AVERAGES = {
    "text": Pair(81.9, None),
    "SD": Pair(85.0, 95.4),
    "TYPO": Pair(48.1, 90.3),
    "SD_TYPO": Pair(48.8, 86.4),
}
_UTILITY_NAMES = (
    ("mme", "perception"),
    ("mme", "cognition"),
    ("mmvet", "total"),
    ("mmbench", "circular"),
)
_UTILITY = {
    "LLaVA-1.5-7B": ((1507.4, 1507.4), (355.7, 357.1), (30.5, 30.6), (64.6, 64.2)),
    "ShareGPT4V-7B": ((1566.4, 1567.1), (376.4, 380.7), (33.9, 34.4), (66.5, 66.1)),
    "mPLUG-Owl2-7B": ((1456.0, 1456.0), (345.7, 345.7), (33.9, 33.9), (66.7, 66.5)),
    "Qwen-VL-Chat": ((1481.5, 1481.5), (347.1, 347.1), (49.6, 49.7), (59.7, 59.1)),
    "InternLM-XComposer-7B": ((1254.1, 1254.1), (200.7, 200.7), (33.3, 33.3), (49.3, 49.3)),
}
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


def published(model: str, benchmark: str, name: str) -> Pair | None:
    """Return the paper's figures for a row of `summary.rows_of`; None where it prints none."""
    known = published_model(model)
    if known is None:
        return None
    if benchmark == "mm_safetybench" and known == "LLaVA-1.5-7B":
        kind, _, scenario = name.partition(", ")
        if not scenario:
            return _LLAVA_AVERAGES.get(kind)
        row = _LLAVA_BY_SCENARIO.get(scenario)
        return Pair(*row[_KINDS.index(kind)]) if row and kind in _KINDS else None
    for key, values in zip(_UTILITY_NAMES, _UTILITY[known], strict=True):
        if key == (benchmark, name):
            return Pair(*values)
    return None


def published_value(pair: Pair | None, variant: str) -> float | None:
    """Return the figure that belongs to a variant: the paper ran one protocol."""
    if pair is None:
        return None
    return pair.direct if variant == DIRECT else pair.protected
