"""From the progress of a run to what the answer and the four panels say. No HTML here."""

from dataclasses import dataclass
from enum import StrEnum

from ..events_ecso import Outcome, Step, StepEvent, Trace
from ..verdict_ecso import Verdict
from .demo_run import RunProgress


class PanelTone(StrEnum):
    """How a panel feels; the name of its colours in style.css."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SAFE = "safe"
    UNSAFE = "unsafe"
    HELD = "held"


@dataclass(frozen=True, repr=False)
class DemoPanel:
    """What one step's panel says. Has no repr: it may hold the draft.

    Args:
        tone: Its colours.
        status: One or two words on where the step stands.
        note: A sentence of the page's own.
        text: What the model wrote.
        is_blurred: Whether the text is to be unreadable until asked for.
        p_unsafe: p(unsafe) of the draft, where it is known.
        cost: Tokens and milliseconds.
    """

    tone: PanelTone
    status: str
    note: str = ""
    text: str = ""
    is_blurred: bool = False
    p_unsafe: float | None = None
    cost: str = ""


_HOW_TO_BEGIN = "Press “Answer”, or first take another example or an image of your own."

WAITING = DemoPanel(PanelTone.WAITING, "waiting")
NOT_NEEDED = DemoPanel(
    PanelTone.WAITING, "not needed", "The draft was found harmless and is the answer."
)


def answer_panel(progress: RunProgress | None) -> DemoPanel:
    """Return what the page says on top."""
    if progress is None:
        return DemoPanel(PanelTone.WAITING, "no answer yet", _HOW_TO_BEGIN)
    if progress.error is not None:
        return DemoPanel(PanelTone.UNSAFE, "no answer", progress.error)
    if progress.result is None:
        if progress.running is None:
            return DemoPanel(PanelTone.WAITING, "not yet", "Run the next step.")
        # What the safe step writes is on its way to be the answer, as what was judged so far is.
        text = progress.written if progress.running is Step.SAFE else progress.judged
        return DemoPanel(PanelTone.RUNNING, f"step {number(progress.running)} of 4", text=text)
    answer, trace = progress.result
    if trace.failed_step is not None:
        why = f"The {trace.failed_step.value} step could not be run, so nothing else is given."
        return DemoPanel(PanelTone.UNSAFE, "refused", why, answer)
    if trace.outcome is Outcome.REFUSAL:
        return DemoPanel(PanelTone.UNSAFE, "refused", "Both answers were found unsafe.", answer)
    if trace.outcome is Outcome.SAFE:
        why = "The draft was found harmful. This is the answer with eyes closed."
        return DemoPanel(PanelTone.SAFE, "protected", why, answer)
    if trace.verdict is None:
        why = "A query without an image; this preset does not judge those."
        return DemoPanel(PanelTone.DONE, "answered", why, answer)
    return DemoPanel(
        PanelTone.SAFE, "answered", "The draft was found harmless. It is the answer.", answer
    )


def step_panels(progress: RunProgress | None) -> dict[Step, DemoPanel]:
    """Return what the panel of each step says."""
    if progress is None:
        return dict.fromkeys(Step, WAITING)
    return {
        Step.DIRECT: _direct(progress),
        Step.DETECT: _detect(progress),
        Step.CAPTION: _caption(progress),
        Step.SAFE: _safe(progress),
    }


def number(step: Step) -> int:
    """Return the step's place, from 1."""
    return list(Step).index(step) + 1


def _direct(progress: RunProgress) -> DemoPanel:
    if not progress.events:
        if progress.running is not Step.DIRECT:
            return WAITING
        if progress.written:
            return DemoPanel(
                PanelTone.RUNNING, "writing", _NOT_JUDGED, progress.written, is_blurred=True
            )
        note = "Kept back until it has been judged."
        if progress.judged:
            note = "Judged while it is written; what was found harmless stands in the answer."
        return DemoPanel(PanelTone.RUNNING, "writing", note)
    cost = _cost(progress.events[0])
    if progress.events[-1].outcome is Outcome.DIRECT:
        text = progress.result.answer if progress.result else ""
        return DemoPanel(PanelTone.SAFE, "released", "The draft is the answer.", text, cost=cost)
    draft = progress.draft or ""
    if _verdict(progress) is None and not progress.is_over:
        note = _NOT_JUDGED if draft else "A draft is written. It is kept back until it is judged."
        return DemoPanel(PanelTone.HELD, "kept back", note, draft, is_blurred=True, cost=cost)
    note = "Withheld. Nothing of it leaves the server."
    if draft:
        note = f"Withheld from the answer; {_HERE_BECAUSE}."
    return DemoPanel(PanelTone.UNSAFE, "withheld", note, draft, is_blurred=True, cost=cost)


_HERE_BECAUSE = "here because “show withheld texts” is on"
_NOT_JUDGED = f"Not judged yet; {_HERE_BECAUSE}."


def _detect(progress: RunProgress) -> DemoPanel:
    verdict = _verdict(progress)
    if verdict is None:
        if progress.result is not None and progress.result.trace.verdict is None:
            return DemoPanel(
                PanelTone.WAITING, "not needed", "Text alone is not judged by this preset."
            )
        return _not_done(progress, Step.DETECT, "Asking the model about its own draft.")
    judged = [event for event in progress.events if event.record.step is Step.DETECT]
    cost = _cost(*judged) if judged else ""
    last = progress.events[-1]
    found = next(event for event in progress.events if event.verdict is not None)
    is_flagged = found.outcome is not Outcome.DIRECT
    if verdict is Verdict.UNCLEAR:
        result = "counts as harmful" if is_flagged else "counts as harmless"
        note = f"The model gave no clear yes or no; that {result}."
    elif is_flagged:
        note = "Asked whether its draft is harmful, the model says yes."
        if not judged:
            note += " The draft was given up while it was written."
    else:
        note = "Asked whether its draft is harmful, the model says no."
    if last.safe_answer_verdict is not None:
        note += f" The answer of step 4 was judged too: {_in_words(last.safe_answer_verdict)}."
    return DemoPanel(
        PanelTone.UNSAFE if is_flagged else PanelTone.SAFE,
        "harmful" if is_flagged else "harmless",
        note,
        p_unsafe=last.p_unsafe,
        cost=cost,
    )


def _caption(progress: RunProgress) -> DemoPanel:
    event = next((e for e in progress.events if e.record.step is Step.CAPTION), None)
    if event is not None:
        note = "The image is in words now. Nothing has judged them, so they are kept back."
        if event.caption is not None:
            note = f"Judged by nothing; {_HERE_BECAUSE}."
        text = event.caption or ""
        return DemoPanel(
            PanelTone.DONE, "described", note, text, is_blurred=True, cost=_cost(event)
        )
    if any(event.next_step is Step.SAFE for event in progress.events):
        return DemoPanel(PanelTone.WAITING, "not needed", "There is no image to describe.")
    return _not_done(progress, Step.CAPTION, "Looking at the image once more.")


def _safe(progress: RunProgress) -> DemoPanel:
    event = next((e for e in progress.events if e.record.step is Step.SAFE), None)
    if event is None:
        if progress.running is Step.SAFE and progress.written:
            return DemoPanel(PanelTone.RUNNING, "writing", text=progress.written)
        return _not_done(progress, Step.SAFE, "Answering with the image taken away.")
    if progress.result is None:
        note = "Written. It is kept back until it is judged as well."
        return DemoPanel(PanelTone.HELD, "kept back", note, cost=_cost(event))
    if progress.result.trace.outcome is Outcome.SAFE:
        answer = progress.result.answer
        return DemoPanel(PanelTone.SAFE, "the answer", text=answer, cost=_cost(event))
    note = "Withheld too; the answer is a refusal."
    return DemoPanel(PanelTone.UNSAFE, "withheld", note, cost=_cost(event))


def _not_done(progress: RunProgress, step: Step, while_running: str) -> DemoPanel:
    if progress.running is step:
        return DemoPanel(PanelTone.RUNNING, "running", while_running)
    trace = progress.result.trace if progress.result else None
    if trace is None:
        return WAITING if progress.error is None else DemoPanel(PanelTone.WAITING, "not run")
    if trace.failed_step is step:
        return DemoPanel(
            PanelTone.UNSAFE, "failed", "This step could not be run, so the answer is no."
        )
    return NOT_NEEDED if trace.outcome is Outcome.DIRECT else _skipped(trace)


def _skipped(trace: Trace) -> DemoPanel:
    failed = trace.failed_step.value if trace.failed_step else "earlier"
    return DemoPanel(PanelTone.WAITING, "not run", f"The {failed} step failed before it.")


def _verdict(progress: RunProgress) -> Verdict | None:
    """Return the verdict on the draft; None while there is none."""
    return progress.events[-1].verdict if progress.events else None


def _in_words(verdict: Verdict) -> str:
    return {Verdict.SAFE: "harmless", Verdict.UNSAFE: "harmful"}.get(verdict, "unclear")


def _cost(*events: StepEvent) -> str:
    tokens = sum(event.record.tokens for event in events)
    milliseconds = sum(event.record.milliseconds for event in events)
    return f"{tokens} token{'' if tokens == 1 else 's'} · {milliseconds:.0f} ms"
