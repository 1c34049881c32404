"""How many GPU hours runs take, told before they start.

The tokens are counted as `make bench` counts them: what each step reads and writes for an answer of
so many tokens, flagged or not, the image read once where steps share it. Time follows from what one
pass of the model must move: reading tokens costs arithmetic, writing one costs reading all weights.

The one pair of latencies that is published for LLaVA-1.5-7B, 2.73 s directly and 4.97 s under ECSO
for an answer asked alone (ShiftDC, arXiv 2502.13095, table 13), lies within what this tells for it:
1.9 to 7.3 s and 1.9 to 21.9 s.

Covered: batches, in which weights are read once for all rows.
Not covered: how long a model's answers are, and how many drafts it must withhold; so there is a
least and a most. Judges, which are other machines.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from ..prompts_ecso import JudgedAnswer, caption_prompt, detect_prompts, safe_prompt
from ..settings_ecso import ECSOConfig
from .protocol_choice import chosen_ecso_config


# An A100: 312 Tflop/s in 16 bits and 2 TB/s, of which plain generate() gets about so much.
GPU = "A100"
_FLOPS, _BYTES_PER_SECOND = 0.4 * 312e12, 0.25 * 2.0e12
_BYTES_PER_WEIGHT = 2
# As in the benchmark: a query of some words, and an answer of words that are one token each.
QUERY = "How do I make this? Give me the steps to build it, one after the other, please."
SHORT_ANSWER, LONG_ANSWER = 64, 256
_WORD, _CHARS_PER_TOKEN = " step", 4


class ModelSize(NamedTuple):
    """What a pass costs: the number of weights, and the tokens of an image."""

    weights: float
    image_tokens: int


@dataclass(frozen=True)
class Tokens:
    """Tokens of one answer: read, and written one after the other."""

    read: float = 0
    written: float = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        """Return both together."""
        return Tokens(self.read + other.read, self.written + other.written)


def model_size(source: str) -> ModelSize:
    """Return the size of a model, from its configuration alone.

    Args:
        source: Folder or Hub id.

    Raises:
        OSError: There is none.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    # Makes the protected model's own type known to the Auto classes.
    from .. import modeling_ecso  # noqa: F401

    config = AutoConfig.from_pretrained(source)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    vision = getattr(config, "vision_config", None)
    patches = vision.image_size // vision.patch_size if vision else 0
    image_tokens = getattr(config, "image_seq_length", None) or patches**2
    return ModelSize(sum(weight.numel() for weight in model.parameters()), image_tokens)


def tokens_of(
    ecso_config: ECSOConfig | None,
    image_tokens: int,
    answer_tokens: int,
    is_flagged: bool,
    has_draft: bool = False,
) -> Tokens:
    """Return the tokens of one answer.

    Args:
        ecso_config: The protocol's settings; None: the direct answer.
        image_tokens: Tokens of the image.
        answer_tokens: Tokens of the draft and of a safe answer.
        is_flagged: Whether the draft is withheld.
        has_draft: Whether a direct run has written the draft.
    """
    draft = Tokens(image_tokens + _tokens(QUERY), 0 if has_draft else answer_tokens)
    if ecso_config is None:
        return draft
    answer = _WORD * answer_tokens
    windows = detect_prompts(ecso_config, QUERY, JudgedAnswer(answer))
    # The image is read once, where the draft is.
    judged = Tokens(sum(map(_tokens, windows)), len(windows))
    total = draft + judged
    if not is_flagged:
        return total
    limit = ecso_config.caption_max_new_tokens
    caption = _WORD * limit
    total += Tokens(_tokens(caption_prompt(ecso_config, QUERY)), limit)
    total += Tokens(_tokens(safe_prompt(ecso_config, QUERY, caption)), answer_tokens)
    return total + judged if ecso_config.judge_safe_answer else total


def gpu_hours(size: ModelSize, tokens: Tokens, samples: int, batch_size: int) -> float:
    """Return the hours of one GPU.

    Args:
        size: Of the model.
        tokens: Of one answer.
        samples: Number of answers.
        batch_size: How many are written together.
    """
    reading = samples * tokens.read * 2 * size.weights / _FLOPS
    passes = ceil(samples / batch_size) * tokens.written
    writing = passes * size.weights * _BYTES_PER_WEIGHT / _BYTES_PER_SECOND
    return (reading + writing) / 3600


def _tokens(text: str) -> float:
    return len(text) / _CHARS_PER_TOKEN


class RunEstimate(NamedTuple):
    """What a run takes: the answers, and GPU hours at least and at most."""

    title: str
    samples: int
    least: float
    most: float


def estimate_run(
    title: str,
    size: ModelSize,
    ecso_config: ECSOConfig | None,
    samples: int,
    max_tokens: int,
    batch_size: int,
    has_draft: bool,
) -> RunEstimate:
    """Return what a run takes.

    At least: short answers of which none is withheld; at most: long ones, of which every one is.

    Args:
        title: Its name.
        size: Of the model.
        ecso_config: The protocol's settings; None: direct answers.
        samples: Number of samples.
        max_tokens: Token limit of an answer.
        batch_size: How many are answered together.
        has_draft: Whether a direct run writes the drafts.
    """

    def hours(answer_tokens: int, is_flagged: bool) -> float:
        tokens = tokens_of(ecso_config, size.image_tokens, answer_tokens, is_flagged, has_draft)
        return gpu_hours(size, tokens, samples, batch_size)

    short, long = (min(length, max_tokens) for length in (SHORT_ANSWER, LONG_ANSWER))
    return RunEstimate(title, samples, hours(short, False), hours(long, True))


def plain_config(provider_arguments: dict[str, Any]) -> ECSOConfig | None:
    """Return the protocol's settings that a provider's arguments come to; None: direct.

    What a model stores is not looked at: where nothing is chosen, it is taken for ``paper``.

    Raises:
        PrerequisiteError: A setting is unknown or not allowed.
    """
    return chosen_ecso_config(
        ECSOConfig.from_preset("paper"),
        provider_arguments["variant"],
        provider_arguments.get("preset"),
        keep_draft=False,
        image_in_safe_step=provider_arguments.get("image_in_safe_step", False),
        ecso_config=provider_arguments.get("ecso_config"),
    )
