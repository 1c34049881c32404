"""One request on its way to its answer, step by step, and what may be shown of it so far."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..errors_ecso import ECSOError
from ..events_ecso import Step, StepEvent, Trace
from ..settings_ecso import ECSOConfig
from .demo_request import DemoRequest


logger = logging.getLogger(__name__)


class RunResult(NamedTuple):
    """How a run ended."""

    answer: str
    trace: Trace


class JudgedText(NamedTuple):
    """The answer as far as it was judged while it is written; empty where that became void."""

    text: str


class StepwiseRun(ABC):
    """Runs the protocol for one request, one step at a time; one subclass for each way to."""

    @abstractmethod
    def step(self, shows_text: bool) -> Iterator[str | JudgedText | StepEvent]:
        """Run the next step.

        Args:
            shows_text: Whether what it writes may be shown while it is written.

        Yields:
            What is written so far, as often as that is known and may be shown, or what of it was
            judged, where the settings let text flow; then the event of the step; no event where
            the step failed and the run ends in the refusal.

        Raises:
            ECSOError: There is no answer.
        """

    @property
    @abstractmethod
    def result(self) -> RunResult | None:
        """How the run ended; None before. There with the last event."""


class DemoModel(ABC):
    """A model that the page can ask."""

    name: str
    ecso_config: ECSOConfig

    @abstractmethod
    def start(self, request: DemoRequest) -> StepwiseRun:
        """Prepare a run; no step runs yet.

        Raises:
            ECSOInputError: The image, the query or the settings cannot be used with this model.
        """


@dataclass(frozen=True, repr=False)
class RunProgress:
    """What may be shown of a run. Has no repr: with the switch on, it holds the draft.

    Args:
        events: The steps that have been run.
        running: The step that is running.
        written: What it has written so far, where that may be shown.
        judged: The answer as far as it was judged, where the request lets text flow.
        draft: The draft, only where the request asks to keep it.
        result: How it ended.
        error: What went wrong, as a sentence; there is no answer then.
    """

    events: tuple[StepEvent, ...] = ()
    running: Step | None = None
    written: str = ""
    judged: str = ""
    draft: str | None = None
    result: RunResult | None = None
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to run."""
        return self.result is not None or self.error is not None

    @property
    def next_step(self) -> Step | None:
        """The step to run next; None at the end."""
        if self.is_over:
            return None
        return self.events[-1].next_step if self.events else Step.DIRECT


class DemoRun:
    """Runs one request and keeps what may be shown of it.

    Args:
        model: The model to ask.
        request: What to ask.

    Raises:
        ECSOInputError: The image, the query or the settings cannot be used with this model.
    """

    def __init__(self, model: DemoModel, request: DemoRequest):
        """Prepare; no step runs yet."""
        self.model_name = model.name
        self.request = request
        self.progress = RunProgress()
        self._run = model.start(request)

    def run_step(self) -> Iterator[RunProgress]:
        """Run the next step, and with the safe step what is left; yields what to show."""
        if self.progress.next_step is Step.SAFE:
            yield from self.run_all()
        else:
            yield from self._run_once()

    def run_all(self) -> Iterator[RunProgress]:
        """Run all steps that are left; yields what to show."""
        while self.progress.next_step is not None:
            yield from self._run_once()

    def _run_once(self) -> Iterator[RunProgress]:
        running = self.progress.next_step
        yield self._now(running=running, written="")
        try:
            for news in self._run.step(self._may_show_text()):
                if isinstance(news, StepEvent):
                    self._now(events=(*self.progress.events, news))
                    continue
                if isinstance(news, JudgedText):
                    yield self._now(judged=news.text)
                    continue
                if running is Step.DIRECT:
                    self._now(draft=news)
                yield self._now(written=news)
            result = self._run.result
            if result is not None and result.trace.draft is not None:
                self._now(draft=result.trace.draft)
            yield self._now(result=result, running=None, written="")
        except Exception as error:
            sentence = error_sentence(error)
            yield self._now(error=sentence, running=None, written="", judged="", draft=None)

    def _may_show_text(self) -> bool:
        """Return whether what the next step writes may be shown at the end, whatever comes."""
        progress = self.progress
        if progress.next_step is Step.DIRECT:
            return self.request.ecso_config.keep_draft
        return progress.next_step is Step.SAFE and not progress.events[-1].safe_answer_is_judged

    def _now(self, **changes: Any) -> RunProgress:
        self.progress = replace(self.progress, **changes)
        return self.progress


def error_sentence(error: Exception) -> str:
    """Return what to tell a visitor about an error; others than ours may quote a prompt."""
    if isinstance(error, ECSOError):
        text = re.sub(r"^ecso\.", "The setting ", str(error))
        return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    logger.warning("the demo could not answer: %s", type(error).__name__)
    return (
        f"The model could not answer ({type(error).__name__}). Nothing of what it wrote is shown. "
        "Try again, or choose another model."
    )
