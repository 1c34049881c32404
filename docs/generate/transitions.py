"""The transitions of the protocol, found by driving it: every reply, in every kind of call.

Nothing is drawn by hand. The machine never calls a model, so that all its ways can be walked in
milliseconds; what it did is read from its public face alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product

from modeling_ecso.events_ecso import Step, StepReply
from modeling_ecso.protocol_ecso import Protocol
from modeling_ecso.settings_ecso import ECSOConfig


# The detect step once more, on the safe answer.
RECHECK = "detect, safe answer"


@dataclass(frozen=True)
class CallFacts:
    """What of a call and its settings decides about the way through the protocol.

    Args:
        image: Whether the conversation holds an image.
        text_judged: Whether conversations without one are judged.
        safe_answer_judged: Whether the safe answer is.
        unclear_is_unsafe: Whether an unclear verdict counts as unsafe.
    """

    image: bool
    text_judged: bool
    safe_answer_judged: bool
    unclear_is_unsafe: bool


@dataclass(frozen=True)
class Transition:
    """One way on.

    Args:
        source: The step that was asked.
        reply: What came of it.
        target: The step that is asked next, or how it ends: ``answer: ...``.
        conditions: What of the call must hold for this way, as short claims; none: nothing.
    """

    source: str
    reply: str
    target: str
    conditions: tuple[str, ...]


# What may come of a step. A beginning is judged while the draft is still being written.
_REPLIES = {
    Step.DIRECT: ("draft", "beginning unsafe"),
    Step.DETECT: ("safe", "unsafe", "unclear", "failed"),
    Step.CAPTION: ("caption", "failed"),
    Step.SAFE: ("safe answer", "failed"),
}
_VERDICTS = {"safe": "No.", "unsafe": "Yes.", "unclear": "Perhaps."}
_CLAIMS = {
    "image": ("image", "no image"),
    "text_judged": ("text alone is judged", "text alone is not judged"),
    "safe_answer_judged": ("judged", "not judged"),
    "unclear_is_unsafe": ("unclear counts as unsafe", "unclear counts as safe"),
}


def explored_transitions() -> list[Transition]:
    """Return every transition that the protocol makes, in the order of its steps."""
    seen: dict[tuple[str, str, str], set[CallFacts]] = {}
    for bits in product((True, False), repeat=len(fields(CallFacts))):
        facts = CallFacts(*bits)
        for source, reply, target in _walked(facts, ()):
            seen.setdefault((source, reply, target), set()).add(facts)
    found = [
        Transition(source, reply, target, _conditions(facts, _of_source(seen, source, reply)))
        for (source, reply, target), facts in seen.items()
    ]
    steps = [*map(str, Step), RECHECK]
    return sorted(found, key=lambda each: (steps.index(each.source), each.reply, each.target))


def _of_source(
    seen: dict[tuple[str, str, str], set[CallFacts]], source: str, reply: str
) -> set[CallFacts]:
    """Return in which calls a step is ever answered so."""
    return set().union(*(facts for key, facts in seen.items() if key[:2] == (source, reply)))


def _conditions(facts: set[CallFacts], possible: set[CallFacts]) -> tuple[str, ...]:
    """Return the claims that tell this way from others, none that follows from those before it."""
    claims = []
    for name, (if_true, if_false) in _CLAIMS.items():
        values = {getattr(each, name) for each in facts}
        if len(values) == 1 and len({getattr(each, name) for each in possible}) == 2:
            (value,) = values
            claims.append(if_true if value else if_false)
            possible = {each for each in possible if getattr(each, name) is value}
    return tuple(claims)


def _walked(facts: CallFacts, replies: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield the transitions of all ways that begin with these replies."""
    for reply in _possible(facts, replies):
        further = (*replies, reply)
        before, after = _driven(facts, replies), _driven(facts, further)
        yield _name(before, replies), reply, _name(after, further)
        yield from _walked(facts, further)


def _possible(facts: CallFacts, replies: tuple[str, ...]) -> tuple[str, ...]:
    machine = _driven(facts, replies)
    step = machine.next_step
    if step is None:
        return ()
    if step is Step.DIRECT and not machine.is_judged:
        return ("draft",)
    return _REPLIES[step]


def _driven(facts: CallFacts, replies: tuple[str, ...]) -> Protocol:
    """Return a machine that has been given these replies."""
    machine = Protocol(
        ECSOConfig.from_preset(
            "paper",
            judge_text_only=facts.text_judged,
            judge_safe_answer=facts.safe_answer_judged,
            unclear_is_unsafe=facts.unclear_is_unsafe,
        ),
        "a question",
        has_image=facts.image,
    )
    for reply in replies:
        if reply == "failed":
            machine.fail()
            continue
        if reply == "beginning unsafe":
            machine.ask_about_beginning("a beginning")
            machine.receive_about_beginning(StepReply((_VERDICTS["unsafe"],)))
        machine.receive(StepReply((_VERDICTS.get(reply, "a text"),)))
    return machine


def _name(machine: Protocol, replies: tuple[str, ...]) -> str:
    """Return where the machine stands, in words."""
    if machine.is_over:
        return f"answer: {machine.outcome.value}"
    if machine.next_step is Step.DETECT and "safe answer" in replies:
        return RECHECK
    return str(machine.next_step)
