"""One answer on its way, step by step, and what may be told of it so far."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors_ecso import ECSOError, ECSOInputError
from ..events_ecso import Step, StepEvent, Trace
from ..settings_ecso import ECSOConfig
from .question import Question


logger = logging.getLogger(__name__)


class Result(NamedTuple):
    """How a run ended."""

    answer: str
    trace: Trace


class StepSource(ABC):
    """Runs the protocol for one question, one step at a time; one subclass for each way to."""

    @abstractmethod
    def step(self) -> Iterator[str | StepEvent]:
        """Run the next step.

        Yields:
            What is written so far, as often as that is known and may be shown, then the event of
            the step; no event where the step failed and the run ends in the refusal.
        """

    @property
    @abstractmethod
    def result(self) -> Result | None:
        """How the run ended; None before."""


class AnsweringModel(ABC):
    """A model that the page can ask."""

    name: str
    stored_settings: ECSOConfig

    @abstractmethod
    def start(self, question: Question) -> StepSource:
        """Prepare a run; no step runs yet.

        Raises:
            ECSOInputError: The image or the query cannot be used.
            ECSOInputError: The settings cannot be used with this model.
        """


@dataclass(frozen=True, repr=False)
class Progress:
    """What may be told of a run. Has no repr: with the switch on, it holds the draft.

    Args:
        has_image: Whether the question came with an image.
        events: The steps that have been run.
        running: The step that is running.
        written: What it has written so far, where that may be shown.
        draft: The draft, only where the question asks to keep it.
        result: How it ended.
        problem: What went wrong, as a sentence; there is no answer then.
    """

    has_image: bool
    events: tuple[StepEvent, ...] = ()
    running: Step | None = None
    written: str = ""
    draft: str | None = None
    result: Result | None = None
    problem: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to run."""
        return self.result is not None or self.problem is not None

    @property
    def next_step(self) -> Step | None:
        """The step to run next; None at the end."""
        if self.is_over:
            return None
        if not self.events:
            return Step.DIRECT
        last = self.events[-1]
        if last.record.step is Step.DIRECT and last.verdict is None:
            return Step.DETECT
        if last.record.step is Step.CAPTION or not self.has_image:
            return Step.SAFE
        return Step.DETECT if last.record.step is Step.SAFE else Step.CAPTION

    @property
    def safe_answer_is_written(self) -> bool:
        """Whether the safe step has been run, so that what is left belongs to it."""
        return any(event.record.step is Step.SAFE for event in self.events)


class WatchedRun:
    """Runs one question and keeps what may be shown of it.

    Args:
        model: The model to ask.
        question: What to ask.

    Raises:
        ECSOInputError: The image or the query cannot be used.
        ECSOInputError: The settings cannot be used with this model.
    """

    def __init__(self, model: AnsweringModel, question: Question):
        """Prepare; no step runs yet."""
        self.model_name = model.name
        self.question = question
        self.progress = Progress(has_image=question.image is not None)
        self._source = model.start(question)

    def run_step(self) -> Iterator[Progress]:
        """Run the next step, and with the safe step its judgement; yields what to show."""
        yield from self._run_once()
        while self.progress.safe_answer_is_written and not self.progress.is_over:
            yield from self._run_once()

    def run_all(self) -> Iterator[Progress]:
        """Run all steps that are left; yields what to show."""
        while not self.progress.is_over:
            yield from self._run_once()

    def _run_once(self) -> Iterator[Progress]:
        running = self.progress.next_step
        yield self._now(running=running, written="")
        try:
            for told in self._source.step():
                if isinstance(told, StepEvent):
                    self._now(events=(*self.progress.events, told))
                    continue
                if running is Step.DIRECT:
                    self._now(draft=told)
                yield self._now(written=told)
            result = self._source.result
            if result is not None and result.trace.draft is not None:
                self._now(draft=result.trace.draft)
            yield self._now(result=result, running=None, written="")
        except Exception as error:
            yield self._now(problem=as_sentence(error), running=None, written="", draft=None)

    def _now(self, **changes: object) -> Progress:
        self.progress = replace(self.progress, **changes)
        return self.progress


def as_sentence(error: Exception) -> str:
    """Return what to tell a visitor about an error; others than ours may quote a prompt."""
    if isinstance(error, ECSOInputError | ECSOError):
        text = re.sub(r"^ecso\.", "The setting ", str(error))
        return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    logger.warning("the demo could not answer: %s", type(error).__name__)
    return (
        f"The model could not answer ({type(error).__name__}). Nothing of what it wrote is shown. "
        "Try again, or choose another model."
    )
