"""Generates from a batch of prompts: the direct step, short replies, whole answers; ids out."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from .callers_view_ecso import CallersView
from .conversation_ecso import Conversation, ConversationReader
from .inputs_ecso import StepInputs, StepPrompt
from .reply_ecso import ReplyReader
from .request_ecso import GenerationRequest
from .settings_ecso import ECSOConfig


# Takes unfinished sequences, by index and new ids; returns the indices of those to stop.
StopRows = Callable[[dict[int, list[int]]], set[int]]


class _Checkpoints(StoppingCriteria):
    """Asks, after given numbers of tokens, which sequences need not be written any further."""

    def __init__(self, ends: list[int], prompt_length: int, at: list[int], stop_rows: StopRows):
        self._ends = set(ends)
        self._prompt_length = prompt_length
        self._at = at
        self._stop_rows = stop_rows
        self._stopped: set[int] = set()
        self._ended: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each sequence whether it ends here, bool, (sequences,)."""
        if input_ids.shape[1] - self._prompt_length in self._at:
            new = input_ids[:, self._prompt_length :].tolist()
            unfinished = {
                index: ids
                for index, ids in enumerate(new)
                if index not in self._stopped and not self._ends & set(ids)
            }
            if unfinished:
                self._stopped |= self._stop_rows(unfinished)
                self._ended = None
        if self._ended is None:  # made anew only after a checkpoint: this runs for every token
            ended = [index in self._stopped for index in range(len(input_ids))]
            self._ended = torch.tensor(ended, device=input_ids.device)
        return self._ended


class BatchRunner:
    """Runs prompts of one `generate()` call on the model.

    Args:
        generate: The unprotected `generate()` of the model.
        model: The model.
        reader: Reads and writes prompts.
        request: What the caller asked for.
        settings: The protocol's settings.
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        model: Any,
        reader: ConversationReader,
        request: GenerationRequest,
        settings: ECSOConfig,
    ):
        """Read the conversations of all rows."""
        self._generate = generate
        self._model = model
        self._reader = reader
        self._request = request
        self._inputs = StepInputs(model, reader, request, settings)

    @property
    def conversations(self) -> list[Conversation]:
        """The conversations of the batch, row by row."""
        return self._inputs.conversations

    def run_direct(
        self, streamer: Any, checkpoints: list[int], stop_rows: StopRows
    ) -> tuple[Any, list[list[int]]]:
        """Run the caller's own prompts; return the parent's output and the new ids by sequence.

        Args:
            streamer: Where the tokens go as they come; None for nowhere.
            checkpoints: Numbers of new tokens after which to ask ``stop_rows``.
            stop_rows: Given the sequences that are not at their end, by index and new ids, returns
                the indices of those that need not be written any further.
        """
        request = self._request
        arguments = dict(request.arguments)
        cache = self._inputs.direct_cache()
        if cache is not None:
            arguments["past_key_values"] = cache
        if checkpoints:
            watch = _Checkpoints(request.end_ids, request.prompt_length, checkpoints, stop_rows)
            own = arguments.get("stopping_criteria") or []
            arguments["stopping_criteria"] = StoppingCriteriaList([*own, watch])
        output = self._generate(**arguments, streamer=streamer)
        if not isinstance(output, torch.Tensor):
            # No protected call takes it back, and it is about to be cut up.
            output.past_key_values = None
        drafts = self._answer_ids(output, request.prompt_length)
        self._inputs.take_drafts([request.without_end(draft) for draft in drafts])
        return output, drafts

    def run_all(
        self, prompts: list[StepPrompt], settings: Any, replies: ReplyReader | None = None
    ) -> Iterator[tuple[StepPrompt, list[int], torch.Tensor | None]]:
        """Run any number of prompts, in batches.

        Args:
            prompts: What to run, each prompt once.
            settings: Generation settings with ``return_dict_in_generate``.
            replies: Reads answers of which only the beginning matters; None: all of it does.

        Yields:
            Prompt, new ids, and the logits of the first one, (vocabulary,), if asked for.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        for batch, inputs in self._inputs.batches(prompts):
            if replies is not None:
                output, logits = replies.read(inputs, settings)
            else:
                output = self._generate_from(inputs, settings)
                logits = output.logits[0] if output.logits else [None] * len(batch)
            answers = self._answer_ids(output, inputs["input_ids"].shape[1])
            yield from zip(batch, answers, logits, strict=True)

    def run(
        self, prompts: list[StepPrompt], settings: Any, call_arguments: dict[str, Any]
    ) -> tuple[Any, list[list[int]]]:
        """Run prompts as one batch from their beginning; return output and new ids by sequence.

        Args:
            prompts: What to run.
            settings: Generation settings with ``return_dict_in_generate``.
            call_arguments: Further arguments of `generate()`; callbacks among them see the caller's
                prompts and rows.

        Raises:
            ECSOInputError: A prompt is longer than the model reads.
        """
        inputs = self._inputs.whole(prompts)
        rows = [prompt.row for prompt in prompts]
        length = inputs["input_ids"].shape[1]
        view = CallersView(self._request.input_ids[rows], rows, length)
        output = self._generate_from(inputs, settings, **view.arguments(call_arguments))
        return output, self._answer_ids(output, length)

    def forget(self) -> None:
        """Let go of the drafts and of what the model has computed for them."""
        self._inputs.forget()

    def reply_reader(
        self, is_settled: Callable[[str], bool], guess: str | None, end_ids: list[int]
    ) -> ReplyReader:
        """Return what reads answers of which only the beginning matters.

        Args:
            is_settled: Tells of the beginning of an answer whether the rest is not needed.
            guess: What most answers say; None to guess nothing.
            end_ids: The ids that end an answer.
        """
        ids = self._reader.answer_ids(guess) if guess else []

        def is_over(reply: list[int]) -> bool:
            return is_settled(self._reader.answer_text(reply))

        return ReplyReader(self._generate_from, self._model, is_over, ids, end_ids)

    def _generate_from(self, inputs: dict[str, Any], settings: Any, **arguments: Any) -> Any:
        return self._generate(
            **inputs, generation_config=settings, **self._request.model_arguments, **arguments
        )

    def _answer_ids(self, output: Any, prompt_length: int) -> list[list[int]]:
        """Return what was generated, by sequence, without the padding behind it.

        What follows an end token is part of it: a criterion of the caller may let the model write
        on, and whatever is returned must have been judged.

        Args:
            output: What `generate()` returned: sequences, long, (sequences, prompt + answer), or an
                output that has them.
            prompt_length: Length of the padded prompts, in tokens.
        """
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        pad = self._request.pad_id
        answers = []
        for row in sequences[:, prompt_length:].tolist():
            written = len(row)
            while written and row[written - 1] == pad:
                written -= 1
            if pad in self._request.end_ids:
                written += 1  # the first of them was no padding
            answers.append(row[:written])
        return answers
