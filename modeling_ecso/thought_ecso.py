"""Where a model's thoughts begin and end in prompts and answers, and how a step does without.

Many models write their reasoning in front of an answer, between two marks. The draft is judged with
it, since all of it is returned. The steps between want a word and not a thought: their prompts
switch thinking off, by the template's own switch where it has one, else by a thought that is closed
as soon as it is opened; what a model thinks all the same is no part of its reply.

Covered: templates that open a thought at the end of the prompt, that have a switch, or whose models
think by themselves; the marks listed here.
Not covered: marks of other kinds, which are text like any other: the whole reply is read.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from .chat_template_ecso import message


# What begins and what ends a thought, as families write it.
MARKS = (
    ("<think>", "</think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>", "<channel|>"),
)
# By what name templates know whether to think.
_SWITCHES = ("enable_thinking", "thinking")
_PROBE = "\ue104"  # a private-use character, so that no template touches it

# Renders messages, with the opening of an answer behind them or not, and further arguments.
RenderWith = Callable[..., str]
TextOf = Callable[[list[int]], str]


@dataclass(frozen=True)
class Thoughts:
    """How a processor's chat template handles thoughts.

    Args:
        opening: The mark that begins a thought.
        closing: The mark that ends one.
        tails: What may stand at the end of a prompt behind the opening of an answer, longest first.
        frames: What may stand in front of the first turn besides what stands there in a step.
        openings: What opens an answer, each with the tail behind it, which may be empty.
        switches: Arguments of the template that a caller may give.
        switched_off: Arguments of the template by which a step does without.
        suffix: What a step's prompt ends with besides what the template renders then.
    """

    opening: str
    closing: str
    tails: tuple[str, ...]
    frames: tuple[str, ...]
    openings: tuple[tuple[str, str], ...]
    switches: tuple[dict[str, bool], ...]
    switched_off: dict[str, bool]
    suffix: str

    def without_tail(self, prompt: str) -> tuple[str, str]:
        """Return a prompt without the thought at its end, and that; empty where there is none."""
        for tail in self.tails:
            rest = prompt.rstrip().removesuffix(tail.rstrip())
            if rest != prompt.rstrip():
                return rest, tail
        return prompt, ""

    def openings_before(self, tail: str) -> tuple[str, ...]:
        """Return what may open an answer in front of a thought, longest first; see `without_tail`.

        Where no thought stands at the end, as in an answer that is begun, it may be any.
        """
        known = {opening for opening, behind in self.openings if not tail or behind == tail}
        return tuple(sorted(known, key=len, reverse=True))

    def closing_of(self, end: str) -> str:
        """Return what closes the thought that the end of a prompt has opened; empty for none."""
        if self.opening not in end or self.closing in end.rpartition(self.opening)[2]:
            return ""
        return f"\n{self.closing}\n\n" if end.endswith("\n") else self.closing

    def without_own(self, rendered: str) -> str:
        """Return what a template has rendered without the thoughts that it wrote itself."""
        empty = f"{re.escape(self.opening)}[^<>]*{re.escape(self.closing)}\\s*"
        return re.sub(empty, "", self.without_tail(rendered)[0])

    def end_in(self, ids: list[int], text_of: TextOf, is_open: bool) -> int | None:
        """Return the place behind the last thought in what was generated; None: it has no end.

        Args:
            ids: What was generated.
            text_of: Decodes ids, marks and all.
            is_open: Whether the prompt has opened a thought.
        """
        text = text_of(ids)
        thoughts = text.count(self.closing)
        if self.opening in text.rpartition(self.closing)[2] or (is_open and not thoughts):
            return None

        def thoughts_before(place: int) -> int:
            return text_of(ids[:place]).count(self.closing)

        # A mark may be several tokens.
        return bisect_left(range(len(ids)), thoughts, key=thoughts_before) if thoughts else 0


def learn_thoughts(render: RenderWith, source: str) -> Thoughts | None:
    """Return how a chat template handles thoughts; None where it knows of none.

    Args:
        render: Renders messages by it.
        source: The template itself.
    """
    known = [marks for marks in MARKS if marks[1] in source]
    if not known:
        return None
    opening, closing = known[0]

    def parts(**switch: bool) -> tuple[str, str, str]:
        """Return what stands in front of a text, what opens an answer, the thought behind that."""
        try:
            frame, _, end = render([message("user", _PROBE)], True, **switch).partition(_PROBE)
        except Exception:  # a template that cannot be used is reported where it is read
            return "", "", ""
        before, mark, behind = end.partition(opening)
        return frame, before, mark + behind

    switches = [
        name
        for name in _SWITCHES
        if re.search(rf"\b{name}\b", source) and parts(**{name: True}) != parts(**{name: False})
    ]
    off = dict.fromkeys(switches, False)
    in_step = parts(**off)
    ways = {parts(**switch) for switch in ({}, dict.fromkeys(switches, True), off)}
    thoughts = Thoughts(
        opening=opening,
        closing=closing,
        tails=tuple(sorted({tail for *_, tail in ways} - {""}, key=len, reverse=True)),
        frames=tuple({frame for frame, *_ in ways} - {in_step[0]}),
        openings=tuple((before, tail) for _, before, tail in ways if before),
        switches=({}, dict.fromkeys(switches, True), off),
        switched_off=off,
        suffix="",
    )
    suffix = thoughts.closing_of(in_step[2])
    if not switches and not in_step[2]:
        suffix = f"{opening}\n\n{closing}\n\n"  # the model thinks by itself
    return replace(thoughts, suffix=suffix)
