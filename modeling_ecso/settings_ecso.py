"""`ECSOConfig`: every prompt and policy of the protocol, validated whenever one is set.

Stored under ``ecso`` in ``config.json``. There is no silent default: a stored configuration is
complete, and a missing, unknown or malformed key is an error that names it.
"""

import copy
import textwrap
import types
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from string import Formatter
from typing import Any, Literal

from .errors_ecso import ECSOConfigError
from .presets_ecso import PRESETS


# Returns what is wrong with a value, as the end of a sentence; None: nothing.
Check = Callable[[Any], str | None]


def _setting(doc: str, check: Check | None = None) -> Any:
    """Declare a setting: what it does, and what its type alone does not say of its values."""
    return field(metadata={"doc": doc, "check": check})


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a non-empty text"


def _at_least(least: int) -> Check:
    def check(value: Any) -> str | None:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return None if is_number and value >= least else f"must be a whole number from {least}"

    return check


def _rising_numbers(value: Any) -> str | None:
    wrong = _at_least(1)
    if isinstance(value, list) and not any(map(wrong, value)) and value == sorted(set(value)):
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

    Start from a preset, `ECSOConfig.from_preset("paper")`; the comments in `presets_ecso.py` say
    what each preset is for. Setting an attribute validates it.
    """

    preset: str = _setting("Name of the preset these settings started from.")
    enabled: bool = _setting("Whether `generate()` protects at all.")
    trust_system_text: bool = _setting(
        "Whether text in front of the first turn is the operator's: then it opens every step and "
        "is not judged. Otherwise it is the user's like all other text, unless it is what the chat "
        "template writes by itself."
    )
    detect_prompt: str = _setting(
        "Asks for the verdict; holds ``{query}`` and ``{response}``.",
        _prompt("query", "response"),
    )
    follow_up_prompt: str | None = _setting(
        "Asks for the verdict in a further turn right after the draft, in place of the detect "
        "prompt: nothing is read twice, so it is faster, and not the published question. Answers "
        "without a conversation of their own (the safe one, the beginning of a draft) are judged "
        "by the detect prompt all the same. None: not used."
    )
    caption_prompt: str = _setting(
        "Asks for the query-aware description; holds ``{query}``.", _prompt("query")
    )
    safe_prompt: str = _setting(
        "Asks for the answer with eyes closed; holds ``{caption}`` and ``{query}``.",
        _prompt("caption", "query"),
    )
    text_only_safe_prompt: str = _setting(
        "The same for a conversation that has no image; holds ``{query}``.", _prompt("query")
    )
    escape_fields: bool = _setting(
        "Break ``<<<`` and ``>>>`` and their look-alikes inside the fields of the prompts, and the "
        "quotation marks inside the caption, so that they cannot end a delimited field."
    )
    draft_view: Literal["head", "windows"] = _setting(
        "What the detect step sees of an answer: its ``head``, or all of it in overlapping "
        "``windows``."
    )
    window_chars: int = _setting(
        "Length of the head, or of one window, in characters.", _at_least(1)
    )
    window_overlap_chars: int = _setting(
        "Characters that neighbouring windows share.", _at_least(0)
    )
    short_windows: Literal["never", "run_on", "always"] = _setting(
        "When an answer is judged in shorter windows as well, so that nothing around harm dilutes "
        "it: each a third of the size of the one before, and last the shortest. ``run_on``: "
        "everywhere in the answer, where a setting of the call can keep it from ending or it goes "
        "on with one that was begun; the safe answer is judged there too. ``always``: the same, "
        "and the beginning of the answer in every other call. ``never``."
    )
    shortest_window_chars: int = _setting(
        "Length of the shortest of these windows, in characters.", _at_least(16)
    )
    judge_earlier_answers: bool = _setting(
        "Judge an answer together with the earlier answers of the conversation as well, so that "
        "harm that is served in slices is seen as a whole."
    )
    verdict_rule: Literal["exact", "normalized", "logits"] = _setting(
        "How the verdict is read: the ``exact`` or ``normalized`` text rule, or next-token "
        "``logits``."
    )
    speculative_verdict: str | None = _setting(
        'What a reply that finds nothing harmful most often says, "No" or "no". It is appended to '
        "the question, so that one pass both hears and ends the reply; never another verdict, and "
        "faster where it is right. None: nothing is speculated."
    )
    unsafe_threshold: float = _setting(
        "p(unsafe) from which the ``logits`` rule says unsafe.", _probability
    )
    unclear_is_unsafe: bool = _setting(
        "Whether a verdict that is neither yes nor no counts as unsafe."
    )
    image_in_safe_step: bool = _setting(
        "Keep the image in the last step, as the published utility scripts do against the paper; "
        "for measurements only."
    )
    judge_text_only: bool = _setting("Judge answers to conversations without an image too.")
    judge_safe_answer: bool = _setting(
        "Judge the safe answer too; if it is unsafe, return the refusal."
    )
    draft_checkpoints: list[int] = _setting(
        "Numbers of tokens after which a draft that is still being written is judged, and "
        "abandoned if it is unsafe; the whole draft is judged as well. Beams are judged at their "
        "end alone.",
        _rising_numbers,
    )
    stream: Literal["verdict", "windows"] = _setting(
        "What a stream shows of an answer that is judged. ``verdict``: nothing before the verdict "
        "on all of it. ``windows``: its beginning, up to the last checkpoint at which that was "
        "judged safe, by all that would be asked if the answer ended there, less the hold-back; "
        "where harm is found later, the safe answer replaces what was shown, if the reader can "
        "replace it. Needs the ``draft_view`` ``windows``."
    )
    stream_checkpoint_tokens: int = _setting(
        "With the ``stream`` ``windows``, after every how many tokens there is a checkpoint, "
        "beside those of ``draft_checkpoints``; one that comes while another is still being judged "
        "waits for it.",
        _at_least(1),
    )
    stream_hold_back_chars: int = _setting(
        "How many characters before such a checkpoint are not shown yet, so that harm is judged "
        "with its beginning before that is seen.",
        _at_least(0),
    )
    share_image_prefix: bool = _setting(
        "Prefill the images once for the first three steps; same answers, faster."
    )
    detect_max_new_tokens: int = _setting("Token limit of the detect step.", _at_least(1))
    caption_max_new_tokens: int = _setting("Token limit of the caption step.", _at_least(1))
    safe_max_new_tokens: int | None = _setting(
        "Token limit of the safe step; None: that of the call.", _at_least(1)
    )
    refusal: str = _setting("Returned where no answer can be given.")
    on_error: Literal["refuse", "raise"] = _setting(
        "What a failure in steps 2-4 ends in: ``refuse`` (the refusal) or ``raise``."
    )
    keep_thought: bool = _setting(
        "Return an answer with the thought that the model has written in front of it. It is judged "
        "in any case; false leaves it out of the answer."
    )
    keep_draft: bool = _setting("Keep an unsafe draft in the trace, for study.")
    keep_caption: bool = _setting(
        "Keep the caption in trace and events, for study. Nobody has judged it, and of an image of "
        "harmful text it is a copy."
    )

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
        problem = _one_of(PRESETS)(name)
        if problem:
            raise ECSOConfigError(f"ECSO preset {name!r} is unknown: it {problem}")
        return cls.from_dict({**PRESETS[name], **changes})

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> "ECSOConfig":
        """Return the settings stored in a complete dictionary, such as that in ``config.json``.

        Raises:
            ECSOConfigError: A key is missing or unknown, or a value is not allowed.
        """
        for key in settings:
            _check_is_known(key)
        for key in sorted(_CHECKS):
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

    def overridden(self, override: Any) -> "ECSOConfig":
        """Return the settings that apply where a caller has said something about them.

        Args:
            override: None for nothing; True or False to switch the protocol on or off; the name
                of a preset; a dictionary of settings that change; or an `ECSOConfig`.

        Raises:
            ECSOConfigError: It is none of these, a key is unknown or a value is not allowed.
        """
        if override is None:
            return self
        if isinstance(override, bool):
            return self.updated({"enabled": override})
        if isinstance(override, str):
            return self._of_preset(override, {})
        if isinstance(override, dict):
            return self.updated(override)
        if hasattr(override, "to_dict"):  # code loaded from the Hub has an ECSOConfig of its own
            return self.from_dict(override.to_dict())
        raise ECSOConfigError(
            f"ecso= is a {type(override).__name__}; pass True, False, the name of a preset, a "
            "dict or an ECSOConfig"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values, ready for JSON."""
        return asdict(self)

    def __setattr__(self, key: str, value: Any) -> None:
        """Set one setting after checking it; raises ECSOConfigError."""
        _check_is_known(key)
        problem = _CHECKS[key](value)
        if not problem and key == "window_overlap_chars" and value >= self.window_chars:
            problem = "must be less than window_chars"
        overlap = getattr(self, "window_overlap_chars", 0)
        if not problem and key == "window_chars" and value <= overlap:
            problem = "must be more than window_overlap_chars"
        if not problem and (key, value) == ("stream", "windows") and self.draft_view == "head":
            problem = "needs the draft_view 'windows', by which all that is shown is judged"
        streams = getattr(self, "stream", "verdict") == "windows"
        if not problem and (key, value) == ("draft_view", "head") and streams:
            problem = "leaves unjudged what the stream 'windows' would show"
        if problem:
            raise ECSOConfigError(f"ecso.{key} {problem}; got {repr(value)[:80]}")
        object.__setattr__(self, key, value)


def _one_of(allowed: typing.Iterable[str]) -> Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else "must be one of " + ", ".join(map(repr, allowed))

    return check


def _or_null(check: Check) -> Check:
    def check_or_null(value: Any) -> str | None:
        problem = None if value is None else check(value)
        return f"{problem} or null" if problem else None

    return check_or_null


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _check_of(declared: Any, own: Check | None) -> Check:
    """Return the check of a setting: what was declared with it, else what its type says."""
    may_be_null = isinstance(declared, types.UnionType)
    if may_be_null:
        declared = typing.get_args(declared)[0]
    if own is None:
        choices = typing.get_args(declared)  # of a Literal
        own = _one_of(choices) if choices else {bool: _boolean, str: _text}[declared]
    return _or_null(own) if may_be_null else own


def _check_is_known(key: str) -> None:
    if key not in _CHECKS:
        raise ECSOConfigError(f"ecso.{key} is no ECSO setting; remove it or correct its name")


def _documented(each: Any) -> str:
    lines = textwrap.wrap(f"{each.name}: {each.metadata['doc']}", 88)
    return textwrap.indent(lines[0], " " * 8) + "".join(f"\n{' ' * 12}{line}" for line in lines[1:])


_TYPES = typing.get_type_hints(ECSOConfig)
_CHECKS: dict[str, Check] = {
    each.name: _check_of(_TYPES[each.name], each.metadata["check"]) for each in fields(ECSOConfig)
}
_CHECKS["preset"] = _one_of(PRESETS)

# The manual that help() shows is written by the declarations.
ECSOConfig.__doc__ = (
    f"{ECSOConfig.__doc__}\n    Args:\n"
    + "\n".join(map(_documented, fields(ECSOConfig)))
    + "\n\n    Raises:\n        ECSOConfigError: A value is not allowed; it names the key.\n"
)
