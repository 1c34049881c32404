"""The table of families in docs/families.md: found out by asking each model, not by its name.

    python -m tests.families.table           # prints it, and writes it into the page

Needs what `environment.py` sets up; ``make families`` does both, behind the tests.
"""

import collections
import tempfile
from pathlib import Path

import torch

from docs.generate.pages import between_marks
from modeling_ecso.errors_ecso import ECSOInputError
from tests.families.mixed_batch import (
    CAPTION_TOKENS,
    FAMILIES,
    ROW_BY_ROW,
    answers_of,
    built,
    protected,
    stock_answers,
    without_padding,
)
from tests.families.publication import is_alike


PAGE = Path(__file__).parents[2] / "docs" / "families.md"
HEAD = (
    "| family | class | equal to four stock calls | image encoded | image prefix | thinking "
    "| published |",
    "|---|---|---|---|---|---|---|",
)
NAMES = {
    "llava": "LLaVA-1.5",
    "vipllava": "VipLlava",
    "llava_next": "LLaVA-NeXT",
    "llava_onevision": "LLaVA-OneVision",
    "pixtral": "Pixtral",
    "mistral3": "Mistral 3",
    "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "qwen3_vl_thinking": "Qwen3-VL-Thinking",
    "qwen3_5": "Qwen3.5",
    "internvl": "InternVL",
    "idefics3": "Idefics3",
    "smolvlm": "SmolVLM",
    "gemma3": "Gemma 3",
    "gemma4": "Gemma 4",
    "aya_vision": "Aya Vision",
    "command_a_vision": "Command A Vision",
    "glm_4_1v": "GLM-4.1V",
    "kimi_k2_5": "Kimi-K2.5",
    "lfm2_vl": "LFM2-VL",
    "ovis2": "Ovis2",
    "molmo2": "Molmo2",
    "mllama": "Llama 3.2 Vision",
    "phi_4": "Phi-4-multimodal",
}


def main() -> None:
    """Print the table and write it into the page."""
    torch.set_num_threads(1)  # more of them wait for each other longer than models so small take
    # In the order of the names; a family without one, or a name without a family, is an error.
    lines = [*HEAD, *(row_of(name) for name in sorted(FAMILIES, key=list(NAMES).index))]
    assert len(lines) == len(HEAD) + len(NAMES), "families are missing: see environment.py"
    table = "\n".join(lines)
    print(table)
    PAGE.write_text(between_marks(PAGE.read_text("utf-8"), "families", table), "utf-8")


def row_of(name: str) -> str:
    """Return what is found of a family, as a line of the table."""
    seen = {share: compare(name, share) for share in (True, False)}
    is_equal = all(equal for equal, _ in seen.values())
    equality = "yes" if is_equal else "**no**"
    if name in ROW_BY_ROW:
        equality += ", each row by itself"
    caption_calls = seen[True][1]
    has_pixels = any("pixel_values" in key for call in caption_calls for key in call)
    caches = [call["past_key_values"] for call in caption_calls if "past_key_values" in call]
    layers = collections.Counter(type(layer).__name__ for cache in caches for layer in cache.layers)
    prefix = "not shared"
    if layers:
        prefix = "cut out" if set(layers) == {"DynamicLayer"} else "computed first"
    kind = type(built(name)[0]).__name__
    return (
        f"| {NAMES[name]} | `{kind}` | {equality} | {'in each step' if has_pixels else 'once'} "
        f"| {prefix} | {thinking_of(name)} | {publication_of(name)} |"
    )


def thinking_of(name: str) -> str:
    """Return how the steps do without thoughts, as the reader of the family's template found."""
    thoughts = protected(name)[0]._protection().reader()._thoughts
    if thoughts is None:
        return "none"
    if thoughts.switched_off:
        return f"off in steps, by {' and '.join(f'`{name}`' for name in thoughts.switched_off)}"
    return "closed at once in steps" if thoughts.suffix else "none in steps"


def publication_of(name: str) -> str:
    """Return whether a family's repository, loaded by the Auto classes, is the protected model."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return "yes" if is_alike(name, Path(folder)) else "**no**"
        except ECSOInputError:  # said by the build
            return "refused"


def compare(name: str, share: bool) -> tuple[bool, list]:
    """Return whether all rows are equal to stock calls, and the arguments of the caption calls."""
    is_equal, caption_calls = True, []
    for flagged in (True, False):
        model, processor = protected(name, unclear_is_unsafe=flagged, share_image_prefix=share)
        plain = model._generate_plainly

        def watched(plain=plain, **arguments):
            config = arguments.get("generation_config")
            # The direct step has another limit, the detect step wants logits.
            if config and config.max_new_tokens == CAPTION_TOKENS and not config.output_logits:
                caption_calls.append(arguments)
            return plain(**arguments)

        model._generate_plainly = watched
        for (expected, caption), ((answer,), (trace,)) in zip(
            stock_answers(name, flagged), answers_of(name, model, processor), strict=True
        ):
            is_equal &= answer == without_padding(expected, processor)
            is_equal &= trace.caption == caption and trace.failed_step is None
    return is_equal, caption_calls


if __name__ == "__main__":
    main()
