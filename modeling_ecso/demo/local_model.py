"""A model in this process, run through `protected_run`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from ..events_ecso import StepEvent
from ..loading.images import open_image
from ..loading.models import LoadedModel
from .question import Question
from .watched_run import AnsweringModel, Result, StepSource


# How often the page is told what has been written so far.
TELL_EVERY_S = 0.1


class LocalModel(AnsweringModel):
    """A loaded model. All its steps run in one thread of its own, whoever asks.

    Args:
        loaded: The model and its processor.
    """

    def __init__(self, loaded: LoadedModel):
        """Start the thread."""
        self.name = loaded.name
        self.stored_settings = loaded.model.config.ecso
        self._loaded = loaded
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ecso-model")

    def start(self, question: Question) -> StepSource:
        """Prepare a run; see the base class."""
        return _LocalSource(self._loaded, self._thread, question)


class _Reader(StoppingCriteria):
    """Reads along while the direct or the safe step writes, and can end it."""

    def __init__(self, loaded: LoadedModel):
        self._loaded = loaded
        self._prompt_length: int | None = None
        self._reads = False
        self.written = ""
        self.ends_step = False

    def begin(self, reads: bool) -> None:
        """Expect another step, to be read or only counted."""
        self._prompt_length = None
        self._reads = reads
        self.written = ""

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Take note of the text so far; return whether it ends here, bool, (1,)."""
        if self._prompt_length is None:  # called first when one token has been generated
            self._prompt_length = input_ids.shape[1] - 1
        if self._reads:
            self.written = self._loaded.text_of(input_ids[0, self._prompt_length :])
        return torch.full((len(input_ids),), self.ends_step, device=input_ids.device)


class _LocalSource(StepSource):
    """The steps of one question to a local model."""

    def __init__(self, loaded: LoadedModel, thread: ThreadPoolExecutor, question: Question):
        settings = question.settings
        image = open_image(question.image, "the image") if question.image else None
        inputs = loaded.inputs_for(question.text, [image] if image else [])
        self._loaded = loaded
        self._thread = thread
        self._prompt_length = inputs["input_ids"].shape[1]
        # What a run may tell while it writes is decided by what it may tell at the end.
        self._tells_draft = settings.keep_draft
        self._tells_safe_answer = not settings.judge_safe_answer
        self._is_at_draft = True
        self._reader = _Reader(loaded)
        self._run = loaded.model.protected_run(
            **inputs,
            ecso=settings,
            processor=loaded.processor,
            max_new_tokens=question.max_new_tokens,
            stopping_criteria=StoppingCriteriaList([self._reader]),
            **_decoding(question),
        )
        self._events = iter(self._run)

    def step(self) -> Iterator[str | StepEvent]:
        """Run the next step; see the base class."""
        self._reader.begin(self._tells_draft if self._is_at_draft else self._tells_safe_answer)
        self._is_at_draft = False
        told = ""
        task = self._thread.submit(self._next_event)
        try:
            while not wait([task], timeout=TELL_EVERY_S).done:
                if self._reader.written != told:
                    told = self._reader.written
                    yield told
        finally:
            # Whoever asked may have left: nobody will read the rest.
            self._reader.ends_step = not task.done()
        event = task.result()
        if self._reader.written:
            yield self._reader.written
        if event is not None:
            yield event

    @property
    def result(self) -> Result | None:
        """How the run ended; None before."""
        if self._run.output is None:
            return None
        return Result(
            answer=self._loaded.text_of(self._run.output[0, self._prompt_length :]),
            trace=self._run.traces[0],
        )

    def _next_event(self) -> StepEvent | None:
        with torch.inference_mode():
            event = next(self._events, None)
            if event is not None and event.outcome is not None:
                next(self._events, None)  # puts the answer together
            return event


def _decoding(question: Question) -> dict[str, Any]:
    if question.temperature == 0:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": question.temperature,
        "top_p": question.top_p,
    }
