"""One protected `generate()` call: next step → run → feed result, for all rows of a batch.

Covered: a step that fails for one row (too long a prompt, a broken model) refuses that row and
leaves the others alone; errors after the draft carry neither text nor traceback of the steps.
Not covered: errors of the direct step, which are the caller's own and come through as they are.
"""

from collections.abc import Iterator
from typing import Any

import torch
from transformers.utils import logging

from .errors_ecso import ECSOProtocolError, ECSOStepError, describe_error
from .events_ecso import Outcome, Step, StepEvent, StepReply, Trace
from .outputs_ecso import replaced_output, with_traces
from .protocol_ecso import Protocol
from .request_ecso import GenerationRequest
from .settings_ecso import ECSOConfig
from .steps_ecso import GeneratedAnswer, StepRunner


logger = logging.get_logger(__name__)

# The order in which rows that stand at different steps are served, so that they meet again.
_ORDER = list(Step)


class ProtectedRun:
    """The steps of one call. Iterate for a `StepEvent` after each; then read `output`.

    Args:
        runner: Runs steps on the model.
        request: What the caller asked for.
        settings: The protocol's settings.
    """

    def __init__(self, runner: StepRunner, request: GenerationRequest, settings: ECSOConfig):
        """Prepare; nothing runs before the iteration."""
        self._runner = runner
        self._request = request
        self._settings = settings
        has_image = any(conversation.image_lengths for conversation in runner.conversations)
        # Where nothing is judged, the draft is the answer and may be streamed as it is written.
        self._streams_direct = not has_image and not settings.judge_text_only
        self._holds_draft = False
        self._output: Any = None
        self._traces: tuple[Trace, ...] = ()

    @property
    def output(self) -> Any:
        """What `generate()` returns; None before the last step."""
        return self._output

    @property
    def traces(self) -> tuple[Trace, ...]:
        """One trace for each answer; empty before the last step."""
        return self._traces

    def __iter__(self) -> Iterator[StepEvent]:
        """Run the protocol.

        Raises:
            ECSOStepError: A step after the draft failed and ``on_error`` is ``raise``.
            ECSOProtocolError: A bug of this package, after the draft.
            Whatever the parent class raises for the direct step.
        """
        broken, is_interrupted = None, False
        try:
            failed_step = yield from self._steps()
        except (Exception, KeyboardInterrupt) as error:
            if not self._holds_draft:
                raise  # of the direct step, before anything was judged: the caller's own
            broken = describe_error(error)
            is_interrupted = isinstance(error, KeyboardInterrupt)
        finally:
            self._runner.forget()
        # From here on nothing that a traceback leads to holds a draft.
        if is_interrupted:
            raise KeyboardInterrupt
        if broken:
            raise ECSOProtocolError(f"the answer could not be put together ({broken})")
        if failed_step:
            raise ECSOStepError(
                f"the {failed_step.value} step could not be run, so there is no answer; see the "
                "log for the kind of error, or set ecso.on_error to 'refuse'"
            )
        if self._request.streamer is not None and not self._streams_direct:
            self._stream(self._request.streamer)

    def finish(self) -> Any:
        """Run all steps; return the output. Raises as the iteration does."""
        for _ in self:
            pass
        return self._output

    def _steps(self) -> Iterator[StepEvent]:
        """Run all steps; return the step that failed, where that is not answered by a refusal."""
        runner = self._runner
        answers_per_row = self._request.settings.num_return_sequences or 1
        protocols = [
            Protocol(self._settings, conversation.query, bool(conversation.image_lengths))
            for conversation in runner.conversations
            for _ in range(answers_per_row)
        ]

        def unsafe_beginnings(written: dict[int, str]) -> set[int]:
            return self._unsafe_beginnings(protocols, written)

        streamer = self._request.streamer if self._streams_direct else None
        direct, drafts, replies = runner.answer_directly(streamer, unsafe_beginnings)
        self._holds_draft = True
        answers: dict[tuple[int, Outcome], GeneratedAnswer] = {}
        for index, protocol in enumerate(protocols):
            protocol.receive(replies[index])
            answers[index, Outcome.DIRECT] = drafts[index]
        self._finish_if_over(protocols, direct, answers)
        yield from [protocol.event(index) for index, protocol in enumerate(protocols)]

        while waiting := {i: p.ask for i, p in enumerate(protocols) if not p.is_over}:
            step = min((ask.step for ask in waiting.values()), key=_ORDER.index)
            group = {index: ask for index, ask in waiting.items() if ask.step is step}
            results = self._run_step(step, list(group.items()))
            events = []
            for index, result in zip(group, results, strict=True):
                if result is None:
                    protocols[index].fail()
                    if self._settings.on_error == "raise":
                        return step
                    continue
                reply, answer = result
                if answer is not None:
                    answers[index, Outcome.SAFE] = answer
                protocols[index].receive(reply)
                events.append(protocols[index].event(index))
            self._finish_if_over(protocols, direct, answers)
            yield from events
        return None

    def _finish_if_over(
        self,
        protocols: list[Protocol],
        direct: Any,
        answers: dict[tuple[int, Outcome], GeneratedAnswer],
    ) -> None:
        """Put the output together once all protocols have ended: before the last events."""
        if not all(protocol.is_over for protocol in protocols):
            return
        outcomes = [protocol.outcome for protocol in protocols]
        self._traces = tuple(protocol.trace for protocol in protocols)
        sources = [answers.get((i, outcome)) for i, outcome in enumerate(outcomes)]
        self._output = self._assemble(direct, sources)

    def _unsafe_beginnings(self, protocols: list[Protocol], written: dict[int, str]) -> set[int]:
        """Judge drafts that are still being written; return those to abandon."""
        asks = {
            index: protocols[index].ask_about_beginning(text) for index, text in written.items()
        }
        asks = {index: ask for index, ask in asks.items() if ask is not None}
        if not asks:
            return set()
        results = self._run_step(Step.DETECT, list(asks.items()))
        # A beginning that could not be judged settles nothing: the whole draft will be judged.
        unsafe = {
            index
            for index, result in zip(asks, results, strict=True)
            if result is not None and protocols[index].receive_about_beginning(result[0])
        }
        self._holds_draft = self._holds_draft or bool(unsafe)
        return unsafe

    def _run_step(
        self, step: Step, asks: list[tuple[int, Any]]
    ) -> list[tuple[StepReply, GeneratedAnswer | None] | None]:
        """Return reply and, for the safe step, answer for each ask; None where it failed."""
        try:
            if step is Step.SAFE:
                answers, replies = self._runner.answer_safely(asks)
                return list(zip(replies, answers, strict=True))
            return [(reply, None) for reply in self._runner.ask(asks)]
        except Exception as error:
            cause = describe_error(error)
        if len(asks) == 1:
            logger.warning(f"ECSO: the {step.value} step failed ({cause}); the draft is withheld")
            return [None]
        # One row must not take the others down with it.
        return [self._run_step(step, [ask])[0] for ask in asks]

    def _assemble(self, direct: Any, sources: list[GeneratedAnswer | None]) -> Any:
        """Return what the parent would return for the final answers."""
        is_tensor = isinstance(direct, torch.Tensor)
        if not any(trace.draft_withheld for trace in self._traces):
            return direct if is_tensor else with_traces(direct, self._traces)
        final = [source.ids if source else self._runner.refusal() for source in sources]
        longest = max(map(len, final))
        pad = self._request.pad_id
        padded = [ids + [pad] * (longest - len(ids)) for ids in final]
        returned = direct if is_tensor else direct.sequences
        prompts = returned[:, : self._request.prompt_length]
        answers = torch.tensor(padded, dtype=prompts.dtype, device=prompts.device)
        sequences = torch.cat([prompts, answers], dim=1)  # (sequences, prompt + longest answer)
        if is_tensor:
            return sequences
        return replaced_output(direct, sequences, longest, sources, self._traces)

    def _stream(self, streamer: Any) -> None:
        """Give the streamer what it would have been given: prompt, then token by token."""
        output = self._output
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        sequences = sequences.cpu()
        length = self._request.prompt_length
        streamer.put(sequences[:, :length])
        for position in range(length, sequences.shape[1]):
            streamer.put(sequences[:, position])
        streamer.end()
