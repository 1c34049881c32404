"""The Inspect provider ``ecso/…``: answers directly or protected, in batches, and keeps the trace.

    inspect eval modeling_ecso/TASK --model ecso/tiny -M variant=protected -M preset=hardened

Covered: the trace of a protected answer is in the log, without draft and caption unless
``keep_draft`` asks for them; a request that fails does so alone; a step that fails for good fails
its sample, which `--resume` asks again.
Not covered: tools; several answers to one request.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from ..events_ecso import Step
from ..loading.models import LoadedModel, ModelAnswer, load_model
from .batching import Batcher
from .eval_run import PROTECTED
from .images import open_benchmark_image
from .known_drafts import DraftTime, KnownDrafts
from .model_names import TINY_NAME
from .prerequisite import PrerequisiteError, as_prerequisite_error
from .protocol_choice import chosen_ecso_config


_DEFAULT_MAX_TOKENS = 256
_DEFAULT_BATCH_SIZE = 16
# A small model on a processor gains from batches far larger than a graphics card would hold.
_TINY_BATCH_SIZE = 64


@dataclass(frozen=True, repr=False)
class _Request:
    """One conversation, as the processor takes it, and the settings of its answer.

    Args:
        turns: The conversation.
        images: Its images.
        generation: The settings.
        key: What two requests share that are the same.
    """

    turns: list[dict[str, Any]]
    images: list[Any]
    generation: dict[str, Any]
    key: str


class ECSOProvider(ModelAPI):
    """A vision-language model that answers directly or protected.

    Args:
        model_name: ``tiny``, a folder, or a Hub id.
        base_url: Not used.
        api_key: Not used.
        config: Generation settings.
        variant: ``protected`` or ``direct``.
        preset: Preset of the protocol; None: what the model stores.
        keep_draft: Whether unsafe drafts and captions are kept in the log, for study and for the
            exports.
        image_in_safe_step: Keep the image in the last step, as the published utility scripts do
            against the paper; for measurements only.
        ecso_config: Further settings of the protocol, such as `ecso calibrate` writes.
        batch_size: Most requests that are answered together.
        share_drafts: Whether direct answers are kept, in this process, as drafts of protected runs.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        variant: str = PROTECTED,
        preset: str | None = None,
        keep_draft: bool = False,
        image_in_safe_step: bool = False,
        ecso_config: dict[str, Any] | None = None,
        batch_size: int | None = None,
        share_drafts: bool = False,
        **unknown: Any,
    ):
        """Load the model and check the settings."""
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if unknown:
            raise PrerequisiteError(
                f"the ecso provider has no argument {', '.join(unknown)}; choose from variant, "
                "preset, keep_draft, image_in_safe_step, ecso_config, batch_size, share_drafts"
            )
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise PrerequisiteError(f"batch_size is {batch_size!r}; give a number from 1")
        self._loaded = _load(model_name)
        stored = self._loaded.model.ecso_config
        self._ecso_config = chosen_ecso_config(
            stored, variant, preset, keep_draft, image_in_safe_step, ecso_config
        )
        default = _TINY_BATCH_SIZE if model_name == TINY_NAME else _DEFAULT_BATCH_SIZE
        self._batch_size = batch_size or default
        self._drafts = _drafts_of(model_name) if share_drafts else None
        self._batcher = Batcher(self._answer_batch, self._batch_size)

    @property
    def loaded(self) -> LoadedModel:
        """The model, for attacks that need its weights."""
        return self._loaded

    def max_connections(self) -> int:
        """Return how many samples it takes to fill a batch."""
        return self._batch_size

    async def count_text_tokens(self, text: str) -> int:
        """Count with the model's own tokenizer; Inspect's would have to be downloaded."""
        return len(self._loaded.processor.tokenizer(text)["input_ids"])

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer one conversation, together with others that come at the same time.

        Raises:
            ECSOInputError: An image cannot be read.
            ValueError: The conversation cannot be put to the model.
            ECSOStepError: A step after the draft failed for good.
        """
        if tools:
            raise ValueError("the ecso provider has no tools; run a task without them")
        generation = _generation_arguments(config)
        request = _Request(*_read_messages(input), generation, _key(input, generation))
        # Those whose drafts are known stay among themselves, so that no draft is written anew.
        is_known = self._drafts is not None and self._drafts.are_known([request.key])
        key = (*sorted(generation.items()), is_known)
        answer, trace = await self._batcher.submit(key, request)
        output = ModelOutput.from_content(self.model_name, answer.text)
        output.usage = ModelUsage(
            input_tokens=answer.prompt_tokens,
            output_tokens=answer.tokens,
            total_tokens=answer.prompt_tokens + answer.tokens,
        )
        output.metadata = {"ecso": trace}
        return output

    def _answer_batch(
        self, requests: Sequence[_Request]
    ) -> list[tuple[ModelAnswer, dict[str, Any] | None]]:
        keys = [request.key for request in requests]
        # Sampled answers are other ones each time.
        drafts = None if requests[0].generation["do_sample"] else self._drafts
        times = drafts.times(keys) if drafts and drafts.are_known(keys) else []
        answers = self._loaded.answers(
            [request.turns for request in requests],
            [image for request in requests for image in request.images],
            ecso=self._ecso_config or False,
            drafts=partial(drafts.around, keys=keys) if drafts else None,
            **requests[0].generation,
        )
        traces = _plain_traces(answers)
        for trace, time in zip(traces, times, strict=False):
            _tell_time_of_draft(trace, time)
        return list(zip(answers, traces, strict=True))


@lru_cache(maxsize=1)
def _load(model_name: str) -> LoadedModel:
    """Load a model once for all runs of a process: direct, protected, every kind of image."""
    with as_prerequisite_error():
        return load_model(None if model_name == TINY_NAME else model_name)


@lru_cache(maxsize=1)
def _drafts_of(model_name: str) -> KnownDrafts:
    return KnownDrafts()


def _key(messages: list[ChatMessage], generation: dict[str, Any]) -> str:
    """Return what requests share that ask the same in the same way."""
    asked = [
        [message.role, message.content]
        if isinstance(message.content, str)
        else [message.role, *[part.model_dump() for part in message.content]]
        for message in messages
    ]
    return hashlib.sha256(json.dumps([asked, generation], sort_keys=True).encode()).hexdigest()


def _tell_time_of_draft(trace: dict[str, Any] | None, time: DraftTime) -> None:
    """Put down for the direct step what it took when the draft was written."""
    for step in trace["steps"] if trace else ():
        if step["step"] == Step.DIRECT:
            step |= {"ms": round(time.milliseconds, 1), "rows": time.rows}


def _plain_traces(answers: list[ModelAnswer]) -> list[dict[str, Any] | None]:
    """Return the traces, each step with the number of rows that shared its time."""
    plain = [answer.trace.to_dict() if answer.trace else None for answer in answers]
    rows = Counter(name for trace in plain if trace for name in {s["step"] for s in trace["steps"]})
    for trace in filter(None, plain):
        for step in trace["steps"]:
            step["rows"] = rows[step["step"]]
    return plain


def _read_messages(messages: list[ChatMessage]) -> tuple[list[dict[str, Any]], list[Any]]:
    turns: list[dict[str, Any]] = []
    images: list[Any] = []
    for message in messages:
        parts = message.content
        if isinstance(parts, str):
            parts = [ContentText(text=parts)]
        content = []
        for part in parts:
            if isinstance(part, ContentImage):
                images.append(open_benchmark_image(part.image))
                content.append({"type": "image"})
            elif isinstance(part, ContentText):
                content.append({"type": "text", "text": part.text})
            else:
                raise ValueError(f"a message has a part of type {part.type}; give text and images")
        turns.append({"role": message.role, "content": content})
    return turns, images


def _generation_arguments(config: GenerateConfig) -> dict[str, Any]:
    """Return the settings that requests of one batch must share."""
    generation: dict[str, Any] = {"max_new_tokens": config.max_tokens or _DEFAULT_MAX_TOKENS}
    if config.temperature:
        generation |= {"do_sample": True, "temperature": config.temperature}
        for ours, theirs in (("top_p", config.top_p), ("top_k", config.top_k)):
            if theirs is not None:
                generation[ours] = theirs
    else:
        generation["do_sample"] = False
    return generation
