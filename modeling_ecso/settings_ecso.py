"""`ECSOConfig`: every prompt and policy of the protocol, validated whenever one is set.

Stored under ``ecso`` in ``config.json``. There is no silent default: a stored set of settings is
complete, and a missing, unknown or malformed key is an error that names it.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from string import Formatter
from typing import Any

from .errors_ecso import ECSOConfigError
from .presets_ecso import PRESETS


Check = Callable[[Any], str | None]


def _one_of(*allowed: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else "must be one of " + ", ".join(map(repr, allowed))

    return check


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a non-empty text"


def _text_or_null(value: Any) -> str | None:
    return None if value is None or not _text(value) else "must be a non-empty text or null"


def _whole_number(at_least: int, or_null: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if value is None and or_null:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
            return None
        return f"must be a whole number from {at_least}" + (" or null" if or_null else "")

    return check


def _rising_numbers(value: Any) -> str | None:
    each = _whole_number(at_least=1)
    if isinstance(value, list) and not any(map(each, value)) and value == sorted(set(value)):
        return None
    return "must be a list of rising whole numbers from 1, perhaps empty"


def _probability(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and 0 < value <= 1 else "must be a number above 0, at most 1"


def _prompt(*placeholders: str) -> Check:
    wanted = " and ".join(f"{{{name}}}" for name in placeholders)

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"must be a text with {wanted}"
        try:
            parts = list(Formatter().parse(value))
        except ValueError:
            return (
                f"has a stray brace; write {{{{ and }}}} for literal ones, {wanted} for the fields"
            )
        found = {name for _, name, _, _ in parts if name is not None}
        # A format spec, a conversion or an attribute would let a prompt reach into objects.
        plain = all(not spec and not conversion for _, _, spec, conversion in parts)
        if found != set(placeholders) or not plain:
            return f"must hold {wanted}, as they stand, and no other placeholder"
        return None

    return check


@dataclass
class ECSOConfig:
    """The settings of the protocol.

    Start from a preset, `ECSOConfig.from_preset("paper")`; the comments in
    ``configuration/presets/`` say what each preset is for. Setting an attribute validates it.

    Args:
        preset: Name of the preset these settings started from.
        enabled: Whether `generate()` protects at all.
        detect_prompt: Asks for the verdict; holds ``{query}`` and ``{response}``.
        follow_up_prompt: Asks for the verdict in a further turn right after the draft, in place of
            the detect prompt: nothing is read twice, so it is faster, and not the published
            question. Answers without a conversation of their own (the safe one, the beginning of a
            draft) are judged by the detect prompt all the same. None: not used.
        caption_prompt: Asks for the query-aware description; holds ``{query}``.
        safe_prompt: Asks for the answer with eyes closed; holds ``{caption}`` and ``{query}``.
        text_only_safe_prompt: The same for a conversation that has no image; holds ``{query}``.
        escape_fields: Break ``<<<`` and ``>>>`` inside the fields of the detect prompt, so that
            they cannot end a delimited field.
        draft_view: What the detect step sees of an answer: its ``head``, or all of it in
            overlapping ``windows``.
        window_chars: Length of the head, or of one window, in characters.
        window_overlap_chars: Characters that neighbouring windows share.
        verdict_rule: How the verdict is read: the ``exact`` or ``normalized`` text rule, or
            next-token ``logits``.
        guessed_verdict: What a reply that finds nothing harmful most often says, "No" or "no". It
            is appended to the question, so that one pass both hears and ends the reply; never
            another verdict, and faster where the guess is right. None: nothing is guessed.
        unsafe_threshold: p(unsafe) from which the ``logits`` rule says unsafe.
        unclear_is_unsafe: Whether a verdict that is neither yes nor no counts as unsafe.
        image_in_safe_step: Keep the image in the last step, as the published utility scripts do
            against the paper; for measurements only.
        judge_text_only: Judge answers to conversations without an image too.
        judge_safe_answer: Judge the safe answer too; if it is unsafe, return the refusal.
        draft_checkpoints: Numbers of tokens after which a draft that is still being written is
            judged, and abandoned if it is unsafe; the whole draft is judged as well. Beams are
            judged at their end alone.
        share_image_prefix: Prefill the images once for the first three steps; same answers, faster.
        detect_max_new_tokens: Token limit of the detect step.
        caption_max_new_tokens: Token limit of the caption step.
        safe_max_new_tokens: Token limit of the safe step; None: that of the call.
        refusal: Returned where no answer can be given.
        on_error: What a failure in steps 2-4 ends in: ``refuse`` (the refusal) or ``raise``.
        keep_draft: Keep an unsafe draft in the trace, for study.

    Raises:
        ECSOConfigError: A value is not allowed; the message names the key.
    """

    preset: str
    enabled: bool
    detect_prompt: str
    follow_up_prompt: str | None
    caption_prompt: str
    safe_prompt: str
    text_only_safe_prompt: str
    escape_fields: bool
    draft_view: str
    window_chars: int
    window_overlap_chars: int
    verdict_rule: str
    guessed_verdict: str | None
    unsafe_threshold: float
    unclear_is_unsafe: bool
    image_in_safe_step: bool
    judge_text_only: bool
    judge_safe_answer: bool
    draft_checkpoints: list[int]
    share_image_prefix: bool
    detect_max_new_tokens: int
    caption_max_new_tokens: int
    safe_max_new_tokens: int | None
    refusal: str
    on_error: str
    keep_draft: bool

    @classmethod
    def from_preset(cls, name: str, **changes: Any) -> "ECSOConfig":
        """Return the settings of a preset, with single ones changed.

        Args:
            name: ``reference``, ``paper`` or ``hardened``.
            **changes: Settings that differ from the preset.

        Raises:
            ECSOConfigError: The preset or a key is unknown, or a value is not allowed.
        """
        return cls._of_preset(name, changes)

    @classmethod
    def _of_preset(cls, name: Any, changes: dict[str, Any]) -> "ECSOConfig":
        problem = _one_of(*PRESETS)(name)
        if problem:
            raise ECSOConfigError(f"ECSO preset {name!r} is unknown: it {problem}")
        return cls.from_dict({**PRESETS[name], **changes})

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "ECSOConfig":
        """Return the settings stored in a complete dictionary, such as that in ``config.json``.

        Raises:
            ECSOConfigError: A key is missing or unknown, or a value is not allowed.
        """
        known = {field.name for field in fields(cls)}
        for key in settings:
            if key not in known:
                raise ECSOConfigError(
                    f"ecso.{key} is no ECSO setting; remove it or correct its name"
                )
        for key in sorted(known):
            if key not in settings:
                raise ECSOConfigError(
                    f"ecso.{key} is missing; start from a preset with ECSOConfig.from_preset()"
                )
        return cls(**copy.deepcopy(settings))  # presets are shared, and hold a list

    def updated(self, changes: dict[str, Any]) -> "ECSOConfig":
        """Return a copy with some settings changed; ``preset`` among them starts from that one.

        Raises:
            ECSOConfigError: A key is unknown or a value is not allowed.
        """
        if "preset" in changes:
            return self._of_preset(changes["preset"], changes)
        return self.from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values, ready for JSON."""
        return asdict(self)

    def __setattr__(self, key: str, value: Any) -> None:
        """Set one setting after checking it; raises ECSOConfigError."""
        if key not in _CHECKS:
            raise ECSOConfigError(f"ecso.{key} is no ECSO setting; remove it or correct its name")
        problem = _CHECKS[key](value)
        if not problem and key == "window_overlap_chars" and value >= self.window_chars:
            problem = "must be less than window_chars"
        if (
            not problem
            and key == "window_chars"
            and value <= getattr(self, "window_overlap_chars", 0)
        ):
            problem = "must be more than window_overlap_chars"
        if problem:
            raise ECSOConfigError(f"ecso.{key} {problem}; got {repr(value)[:80]}")
        object.__setattr__(self, key, value)


_CHECKS: dict[str, Check] = {
    "preset": _one_of(*PRESETS),
    "enabled": _boolean,
    "detect_prompt": _prompt("query", "response"),
    "follow_up_prompt": _text_or_null,
    "caption_prompt": _prompt("query"),
    "safe_prompt": _prompt("caption", "query"),
    "text_only_safe_prompt": _prompt("query"),
    "escape_fields": _boolean,
    "draft_view": _one_of("head", "windows"),
    "window_chars": _whole_number(at_least=1),
    "window_overlap_chars": _whole_number(at_least=0),
    "verdict_rule": _one_of("exact", "normalized", "logits"),
    "guessed_verdict": _text_or_null,
    "unsafe_threshold": _probability,
    "unclear_is_unsafe": _boolean,
    "image_in_safe_step": _boolean,
    "judge_text_only": _boolean,
    "judge_safe_answer": _boolean,
    "draft_checkpoints": _rising_numbers,
    "share_image_prefix": _boolean,
    "detect_max_new_tokens": _whole_number(at_least=1),
    "caption_max_new_tokens": _whole_number(at_least=1),
    "safe_max_new_tokens": _whole_number(at_least=1, or_null=True),
    "refusal": _text,
    "on_error": _one_of("refuse", "raise"),
    "keep_draft": _boolean,
}
