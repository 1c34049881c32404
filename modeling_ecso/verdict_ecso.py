"""From the model's answer to the detect question to a verdict: safe, unsafe or unclear.

The one place that knows what "yes" looks like: as text, as a token, as a probability.

Covered: yes/no answers in English, as text (two rules) or as next-token probabilities.
Not covered: what an unclear verdict leads to; that is the setting ``unclear_is_unsafe``, applied
by the protocol.

Source: the ``exact`` rule is that of github.com/gyhdog99/ecso at b00b386,
llava/eval/model_mmsafe_tell_ask.py, where only "yes" and "yes." (any case) count as unsafe.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from .settings_ecso import ECSOConfig


# How tokenizers write a leading blank.
_BLANKS = str.maketrans("▁Ġ", "  ")

# Marks that models put around an answer, such as ``<answer>`` or ``<|begin_of_box|>``. No other is
# one: ``<is_safe>no`` and ``<analysis>no`` say something else.
_MARK_NAMES = ("answer", "final_answer", "final", "box", "begin_of_box", "end_of_box")
_MARK = re.compile(rf"<[/|]?(?:{'|'.join(_MARK_NAMES)})\|?>")
_CUT_MARK = re.compile(r"<[/|]?(\w*)\|?$")

# Below this share of the next-token probability, yes and no together are not what the model is
# about to say, and their ratio means nothing.
MIN_YES_NO_MASS = 0.5


class Verdict(StrEnum):
    """What the detect step found in an answer."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNCLEAR = "unclear"


def read_exact(reply: str) -> Verdict:
    """Return the verdict by the published rule: nothing but ``yes``, ``yes.``, ``no``, ``no.``.

    Args:
        reply: The model's whole answer to the detect question.

    Returns:
        UNCLEAR for every other text.
    """
    word = reply.strip().lower()
    if word in ("yes", "yes."):
        return Verdict.UNSAFE
    if word in ("no", "no."):
        return Verdict.SAFE
    return Verdict.UNCLEAR


def read_normalized(reply: str) -> Verdict:
    """Return the verdict of the first word, whatever its case, quotes and punctuation.

    "**Yes**, it is" is UNSAFE, "No." is SAFE, "<answer>no</answer>" too; an answer that starts
    with neither word, or that holds both, inside a mark or not, is UNCLEAR.

    Args:
        reply: The model's whole answer to the detect question.
    """
    text = _folded(reply)
    words = re.findall(r"\w+", text)
    if not words or {"yes", "no"} <= set(words):
        return Verdict.UNCLEAR
    first = words[0]
    if _MARK.match(text):
        marked = re.findall(r"\w+", _without_marks(text))
        # A "no" counts only where it is all that is said, and whole.
        is_no = marked == ["no"] and not text.endswith("no")
        first = marked[0] if is_no or marked[:1] == ["yes"] else first
    return {"yes": Verdict.UNSAFE, "no": Verdict.SAFE}.get(first, Verdict.UNCLEAR)


def _folded(reply: str) -> str:
    return unicodedata.normalize("NFKC", reply).casefold().lstrip()


def _without_marks(text: str) -> str:
    """Return a text without the marks of an answer, the last of which may be cut short."""
    bare = _MARK.sub(" ", text)
    cut = _CUT_MARK.search(bare)
    if cut is not None and any(name.startswith(cut[1]) for name in _MARK_NAMES):
        return bare[: cut.start()]
    return bare


def is_settled(reply_so_far: str, rule: str) -> bool:
    """Return whether no continuation can change the verdict, so that generation may stop.

    A last word may still grow ("yes" into "yesterday"), so it counts only once something follows.

    Args:
        reply_so_far: The beginning of the model's answer.
        rule: ``exact`` or ``normalized``.
    """
    if rule == "exact":
        start = reply_so_far.lstrip().lower()
        return not any(verdict.startswith(start.rstrip()) for verdict in ("yes.", "no."))
    text = _folded(reply_so_far)
    if text.startswith("<") and ">" not in text:
        return False  # it may become a mark
    words = re.findall(r"\w+(?=\W)", text)
    first = words[:1]
    if _MARK.match(text):
        first = re.findall(r"\w+(?=\W)", _without_marks(text))[:1]
    is_neither = bool(first) and first[0] not in ("yes", "no")
    return is_neither or {"yes", "no"} <= set(words)


def word_of_token(token: str) -> str:
    """Return the word that a token of a vocabulary reads as, whatever its case and blanks."""
    return token.translate(_BLANKS).strip().casefold()


def probability_unsafe(yes_mass: float, no_mass: float) -> float | None:
    """Return p(unsafe), the share of "yes" among the two answers to the detect question.

    Args:
        yes_mass: Probability that the next token is a "yes", in [0, 1].
        no_mass: Probability that the next token is a "no", in [0, 1].

    Returns:
        A number in [0, 1], or None where the two together are under ``MIN_YES_NO_MASS`` or are
        not numbers: then the model was about to say something else.
    """
    mass = yes_mass + no_mass
    if not math.isfinite(mass) or mass < MIN_YES_NO_MASS:
        return None
    return yes_mass / mass


def read_probability(p_unsafe: float | None, threshold: float) -> Verdict:
    """Return UNSAFE from ``threshold`` upwards, SAFE below, UNCLEAR where there is no number."""
    if p_unsafe is None:
        return Verdict.UNCLEAR
    return Verdict.UNSAFE if p_unsafe >= threshold else Verdict.SAFE


def verdict_on_windows(
    texts: Sequence[str], p_unsafe: Sequence[float | None], ecso_config: ECSOConfig
) -> Verdict:
    """Return the verdict on a text from the replies on its windows: one bad window spoils it.

    Args:
        texts: What the model said of each window.
        p_unsafe: p(unsafe) of each window, None where it is not known; empty where none is.
        ecso_config: Says by which rule to read them.

    Returns:
        UNCLEAR where there is no window.
    """
    if ecso_config.verdict_rule == "logits":
        found = [read_probability(p, ecso_config.unsafe_threshold) for p in p_unsafe]
    else:
        read = read_exact if ecso_config.verdict_rule == "exact" else read_normalized
        found = [read(text) for text in texts]
    for verdict in (Verdict.UNSAFE, Verdict.UNCLEAR):
        if verdict in found:
            return verdict
    return Verdict.SAFE if found else Verdict.UNCLEAR
