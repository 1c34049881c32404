"""The words of the protocol: its steps, what they ask and are told, and what is told of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .verdict_ecso import Verdict


class Step(StrEnum):
    """The paper's four steps, named alike in code, traces, logs and on screen."""

    DIRECT = "direct"
    DETECT = "detect"
    CAPTION = "caption"
    SAFE = "safe"


class Outcome(StrEnum):
    """Whose text is the answer."""

    DIRECT = "direct"
    SAFE = "safe"
    REFUSAL = "refusal"


@dataclass(frozen=True)
class DirectAsk:
    """Answer the conversation as the caller wrote it."""

    step: Step = Step.DIRECT


@dataclass(frozen=True, repr=False)
class PromptAsk:
    """Answer each prompt on its own. Has no repr: a prompt may quote an unsafe draft.

    Args:
        step: The step this belongs to.
        prompts: User turns, one for each reply that is wanted.
        max_new_tokens: Token limit of each reply; None: that of the call.
    """

    step: Step
    prompts: tuple[str, ...]
    max_new_tokens: int | None


class TextAsk(PromptAsk):
    """Answer from text alone; there is no field to put an image in."""


class ImageAsk(PromptAsk):
    """Answer with the images of the conversation in view."""


class FollowUpAsk(PromptAsk):
    """Answer a further turn of the conversation, after the draft as the model wrote it."""


Ask = DirectAsk | PromptAsk


@dataclass(frozen=True, repr=False)
class StepReply:
    """What the model said to an `Ask`. Has no repr: a reply may be an unsafe draft.

    Args:
        texts: One text for each prompt asked, decoded and stripped.
        tokens: Number of tokens generated, over all texts.
        milliseconds: Wall time of the step; rows that share a batch share its time.
        p_unsafe: For the detect step, p(unsafe) for each prompt, None where it is not known.
        thought: For the direct step, what the model thought before its answer, where that stands
            apart from the text; it is judged with it.
    """

    texts: tuple[str, ...]
    tokens: int = 0
    milliseconds: float = 0.0
    p_unsafe: tuple[float | None, ...] = ()
    thought: str = ""


@dataclass(frozen=True)
class StepRecord:
    """One step that was run.

    Args:
        step: Which one. The detect step stands here twice where the safe answer was judged too.
        tokens: Number of tokens it generated.
        milliseconds: Its wall time; rows that share a batch share its time.
    """

    step: Step
    tokens: int
    milliseconds: float


@dataclass(frozen=True)
class StepEvent:
    """A step has been run for one answer. Holds nothing of a draft.

    Args:
        index: The answer's place in the output.
        record: The step, its tokens and milliseconds.
        verdict: The verdict on the draft, once there is one.
        p_unsafe: p(unsafe) of the draft, where it is known.
        caption: The description of the image, once there is one and only with ``keep_caption``.
        safe_answer_verdict: The verdict on the safe answer, where it is judged.
        outcome: Whose text is the answer, once that is settled.
        next_step: The step that is run next for this answer; None at the end. Where a safe answer
            is judged, this is the detect step a second time.
        safe_answer_is_judged: Whether a safe answer, if it comes to that, is judged before it is
            the answer; none of it may be shown before.
    """

    index: int
    record: StepRecord
    verdict: Verdict | None
    p_unsafe: float | None
    caption: str | None = field(repr=False)
    safe_answer_verdict: Verdict | None
    outcome: Outcome | None
    next_step: Step | None
    safe_answer_is_judged: bool


@dataclass(frozen=True)
class Trace:
    """What the protocol did for one answer.

    Args:
        preset: The preset that the settings started from.
        outcome: Whose text is the answer.
        verdict: The verdict on the draft; None where it was not judged.
        p_unsafe: Probability that the draft is unsafe, in [0, 1], the highest of all windows and
            beginnings that were judged; None where it is not known.
        caption: The query-aware description of the image, only with ``keep_caption``; never part of
            the repr.
        safe_answer_verdict: The verdict on the safe answer; None where it was not judged.
        steps: The steps run, in order.
        failed_step: The step that could not be run and led to the refusal.
        draft: The unsafe draft, only with ``keep_draft``; never part of the repr.
    """

    preset: str
    outcome: Outcome
    verdict: Verdict | None
    p_unsafe: float | None
    caption: str | None = field(repr=False)
    safe_answer_verdict: Verdict | None
    steps: tuple[StepRecord, ...]
    failed_step: Step | None = None
    draft: str | None = field(default=None, repr=False)

    @property
    def draft_withheld(self) -> bool:
        """Whether the draft was withheld."""
        return self.outcome is not Outcome.DIRECT

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; draft and caption only where they were kept."""
        plain = {
            "preset": self.preset,
            "outcome": self.outcome.value,
            "draft_withheld": self.draft_withheld,
            "verdict": _value(self.verdict),
            "p_unsafe": self.p_unsafe,
            "safe_answer_verdict": _value(self.safe_answer_verdict),
            "steps": [
                {"step": r.step.value, "tokens": r.tokens, "ms": round(r.milliseconds, 1)}
                for r in self.steps
            ],
            "failed_step": _value(self.failed_step),
        }
        for name in ("draft", "caption"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        return plain


def _value(name: Verdict | Step | None) -> str | None:
    return name.value if name else None
