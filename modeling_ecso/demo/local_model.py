"""A model in this process, run through `protected_run`."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from ..events_ecso import StepEvent
from ..loading.images import open_image
from ..loading.models import LoadedModel
from .demo_request import DemoRequest
from .demo_run import DemoModel, JudgedText, RunResult, StepwiseRun


# How often the page shows what has been written so far.
REFRESH_S = 0.1


class LocalModel(DemoModel):
    """A loaded model. All its steps run in one thread of its own, whoever asks.

    Args:
        loaded: The model and its processor.
    """

    def __init__(self, loaded: LoadedModel):
        """Start the thread."""
        self.name = loaded.name
        self.ecso_config = loaded.model.ecso_config
        self._loaded = loaded
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ecso-model")

    def start(self, request: DemoRequest) -> StepwiseRun:
        """Prepare a run; see the base class."""
        return _LocalRun(self._loaded, self._thread, request)


class _WrittenText(StoppingCriteria):
    """Reads along while a step writes, and can end it."""

    def __init__(self, loaded: LoadedModel):
        self._loaded = loaded
        self._prompt_length: int | None = None
        self._reads = False
        self.so_far = ""
        self.ends_step = False

    def begin(self, reads: bool) -> None:
        """Expect another step, whose text is to be read or not."""
        self._prompt_length = None
        self._reads = reads
        self.so_far = ""

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> Any:
        """Take note of the text so far; return whether it ends here, bool, (1,)."""
        if self._prompt_length is None:  # called first when one token has been generated
            self._prompt_length = input_ids.shape[1] - 1
        if self._reads:
            self.so_far = self._loaded.text_of(input_ids[0, self._prompt_length :])
        return torch.full((len(input_ids),), self.ends_step, device=input_ids.device)


class _LocalRun(StepwiseRun):
    """The steps of one request to a local model."""

    def __init__(self, loaded: LoadedModel, thread: ThreadPoolExecutor, request: DemoRequest):
        image = open_image(request.image, "the image") if request.image else None
        images = [image] if image else []
        inputs = loaded.inputs_for(request.query, images, request.max_new_tokens)
        self._loaded = loaded
        self._thread = thread
        self._prompt_length = inputs["input_ids"].shape[1]
        self._written = _WrittenText(loaded)
        self._run = loaded.model.protected_run(
            **inputs,
            ecso=request.ecso_config,
            processor=loaded.processor,
            max_new_tokens=request.max_new_tokens,
            stopping_criteria=StoppingCriteriaList([self._written]),
            **_decoding(request),
        )
        self._events: Generator[StepEvent] = iter(self._run)

    def step(self, shows_text: bool) -> Iterator[str | JudgedText | StepEvent]:
        """Run the next step; see the base class."""
        self._written.begin(shows_text)
        shown = ""
        task = self._thread.submit(self._next_event)
        try:
            while not wait([task], timeout=REFRESH_S).done:
                if self._written.so_far != shown:
                    shown = self._written.so_far
                    yield shown
        finally:
            # Whoever asked may have left: nobody will read the rest.
            self._written.ends_step = not task.done()
        event = task.result()
        if self._written.so_far:
            yield self._written.so_far
        if event is not None:
            yield event

    @property
    def result(self) -> RunResult | None:
        """How the run ended; None before."""
        if self._run.output is None:
            return None
        return RunResult(
            answer=self._loaded.text_of(self._run.output[0, self._prompt_length :]),
            trace=self._run.traces[0],
        )

    def _next_event(self) -> StepEvent | None:
        with torch.inference_mode():
            event = next(self._events, None)
            if event is not None and event.next_step is None:
                # The page keeps the run for a vote; nothing of the draft is to live as long.
                self._events.close()
            return event


def _decoding(request: DemoRequest) -> dict[str, Any]:
    if request.temperature == 0:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
