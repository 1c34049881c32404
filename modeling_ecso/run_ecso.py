"""One protected `generate()` call: next step → run → feed result, for all rows of a batch.

Covered: a step that fails for one row (too long a prompt, a broken model) refuses that row and
leaves the others alone; no error and no interrupt, whenever it comes, carries text or frames of a
step.
Not covered: errors of a direct step that nothing judges, which come through as they are.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from transformers.utils import logging

from .answer_ecso import GeneratedAnswer, refusal_ids
from .call_ecso import Call
from .errors_ecso import ECSOProtocolError, ECSOStepError, describe_error, strip_frames
from .events_ecso import Outcome, Step, StepEvent, StepReply, Trace
from .outputs_ecso import replaced_output, with_traces
from .protocol_ecso import Protocol
from .steps_ecso import Steps
from .stream_ecso import AnswerStream


logger = logging.get_logger(__name__)

# The order in which rows that stand at different steps are served, so that they meet again.
_ORDER = list(Step)


class ProtectedRun:
    """The steps of one call. Iterate for a `StepEvent` after each; then read `output`.

    Args:
        call: What was asked for.

    Attributes:
        output: What `generate()` returns; there with the last event, None before.
        traces: One trace for each answer; there with the last event, empty before.
    """

    output: Any
    traces: tuple[Trace, ...]

    def __init__(self, call: Call):
        """Prepare; nothing runs before the iteration."""
        self.output = None
        self.traces = ()
        self._call = call
        self._steps: Any = Steps(call)  # None once it is over
        rows = call.request.rows
        copies = call.request.answers_per_row
        conversations = [row.conversation for row in rows for _ in range(copies)]
        self._protocols = [
            Protocol(
                call.ecso_config,
                said.query,
                bool(said.images),
                begun=said.begun,
                earlier_answers=said.earlier_answers,
                can_run_on=call.request.can_run_on,
                index=index,
            )
            for index, said in enumerate(conversations)
        ]
        has_image = any(said.images for said in conversations)
        # Where nothing is judged, the draft is the answer and may be streamed as it is written.
        is_judged = has_image or call.ecso_config.judge_text_only
        self._streams_direct = not is_judged and call.ecso_config.keep_thought
        self._stream = None
        if call.request.streamer is not None and not self._streams_direct:
            self._stream = AnswerStream(call)
        self._flows = self._stream is not None and self._stream.flows
        # From its first token on, so from before the direct step.
        self._holds_draft = not self._streams_direct
        self._found_unsafe = False
        self._direct: Any = None
        self._answers: dict[tuple[int, Outcome], GeneratedAnswer] = {}

    def __iter__(self) -> Iterator[StepEvent]:
        """Run the protocol.

        Raises:
            ECSOStepError: A step after the draft failed and ``on_error`` is ``raise``.
            ECSOProtocolError: A bug of this package, after the draft.
            Whatever the parent class raises for the direct step, and whatever interrupts a step;
            where the answer is judged, without the frames of the step, which hold the draft.
        """
        stripped: BaseException | None = None
        try:
            yield from self._events()
        except BaseException as error:
            if not self._holds_draft:
                raise
            # An interrupt that came while another error was being stripped.
            strip_frames(error)
            stripped = error
        finally:
            self._forget()
        if stripped is not None:
            raise stripped

    def run_to_end(self) -> Any:
        """Run all steps and return `output`; raises what the iteration raises."""
        for _ in self:
            pass
        return self.output

    def _events(self) -> Iterator[StepEvent]:
        stripped: BaseException | None = None
        try:
            while self.output is None:
                events = self._answer_directly() if self._direct is None else self._answer_asks()
                if all(protocol.ask is None for protocol in self._protocols):
                    self.traces = tuple(protocol.trace for protocol in self._protocols)
                    self.output = self._assembled()
                    self._forget()
                    self._holds_draft = False
                    if self._stream is not None:
                        is_tensor = isinstance(self.output, torch.Tensor)
                        self._stream.finish(self.output if is_tensor else self.output.sequences)
                yield from events
        except BaseException as error:
            if not self._holds_draft:
                raise
            stripped = self._without_draft(error)
            self._holds_draft = False
        finally:
            self._forget()
        if stripped is not None:
            # Raised out here, so that neither context nor frames lead to the draft.
            raise stripped

    def _answer_directly(self) -> list[StepEvent]:
        streamer = self._call.request.streamer if self._streams_direct else None
        self._direct, drafts, replies = self._steps.direct(
            streamer, self._unsafe_beginnings, self._checkpoints()
        )
        self._answers = {(i, Outcome.DIRECT): draft for i, draft in enumerate(drafts)}
        events = [
            protocol.receive(reply)
            for protocol, reply in zip(self._protocols, replies, strict=True)
        ]
        self._withdraw_withheld()
        return events

    def _checkpoints(self) -> list[int]:
        """Return after how many tokens drafts are judged while they are written."""
        config, most = self._call.ecso_config, self._call.request.new_tokens
        every = config.stream_checkpoint_tokens if self._flows else most
        return [*(at for at in config.draft_checkpoints if at < most), *range(every, most, every)]

    def _withdraw_withheld(self) -> None:
        """Tell the streamer of a draft that is withheld, where it has been given of it."""
        if self._stream and self._flows and self._protocols[0].draft_is_withheld:
            self._stream.withdraw()

    def _answer_asks(self) -> list[StepEvent]:
        waiting = {i: p.ask for i, p in enumerate(self._protocols) if p.ask is not None}
        step = min((ask.step for ask in waiting.values()), key=_ORDER.index)
        group = [(index, ask) for index, ask in waiting.items() if ask.step is step]
        events = []
        for (index, _), result in zip(group, self._results(step, group), strict=True):
            if result is not None:
                reply, answer = result
                if answer is not None:
                    self._answers[index, Outcome.SAFE] = answer
                events.append(self._protocols[index].receive(reply))
                continue
            self._protocols[index].fail()
            self._withdraw_withheld()
            if self._call.ecso_config.on_error == "raise":
                raise ECSOStepError(
                    f"the {step.value} step could not be run, so there is no answer; see the log "
                    "for the kind of error, or set ecso.on_error to 'refuse'"
                )
        self._withdraw_withheld()
        return events

    def _unsafe_beginnings(self, written: dict[int, list[int]]) -> set[int]:
        """Judge drafts that are still being written; return those to abandon."""
        flows, text_of = self._flows, self._steps.draft_text
        asks = {
            index: self._protocols[index].ask_about_beginning(text_of(index, ids), as_whole=flows)
            for index, ids in written.items()
        }
        group = [(index, ask) for index, ask in asks.items() if ask is not None]
        if not group:
            return set()
        # A beginning that could not be judged settles nothing: the whole draft will be judged.
        judged = {
            index: self._protocols[index].receive_about_beginning(result[0])
            for (index, _), result in zip(group, self._results(Step.DETECT, group), strict=True)
            if result is not None
        }
        unsafe = {index for index, is_unsafe in judged.items() if is_unsafe}
        self._found_unsafe = self._found_unsafe or bool(unsafe)
        if self._stream and flows and judged and not unsafe:
            self._stream.show_judged(written[0], partial(text_of, 0))
        return unsafe

    def _results(
        self, step: Step, asks: list[tuple[int, Any]]
    ) -> list[tuple[StepReply, GeneratedAnswer | None] | None]:
        """Return reply and, for the safe step, answer for each ask; None where it failed."""
        try:
            return self._steps.safe(asks) if step is Step.SAFE else self._steps.ask(asks)
        except Exception as error:
            cause = describe_error(error)
        if len(asks) == 1:
            logger.warning(f"ECSO: the {step.value} step failed ({cause}); the draft is withheld")
            return [None]
        # One row must not take the others down with it.
        return [self._results(step, [ask])[0] for ask in asks]

    def _assembled(self) -> Any:
        """Return what the parent would return for the final answers."""
        direct, request = self._direct, self._call.request
        is_tensor = isinstance(direct, torch.Tensor)
        sources = [self._answers.get((i, trace.outcome)) for i, trace in enumerate(self.traces)]
        is_direct = all(trace.outcome is Outcome.DIRECT for trace in self.traces)
        if is_direct and not any(source.skipped for source in sources if source):
            return direct if is_tensor else with_traces(direct, self.traces)
        final = [
            source.ids if source else refusal_ids(self._call, index)
            for index, source in enumerate(sources)
        ]
        longest = max(map(len, final))
        padded = [ids + [request.pad_id] * (longest - len(ids)) for ids in final]
        returned = direct if is_tensor else direct.sequences
        prompts = returned[:, : request.input_ids.shape[1]]
        answers = torch.tensor(padded, dtype=prompts.dtype, device=prompts.device)
        sequences = torch.cat([prompts, answers], dim=1)  # (sequences, prompt + longest answer)
        if is_tensor:
            return sequences
        return replaced_output(direct, sequences, longest, sources, self.traces)

    def _forget(self) -> None:
        """Let go of the drafts and of what the model has computed for them."""
        self._direct, self._answers, self._protocols, self._steps = None, {}, [], None

    def _without_draft(self, error: BaseException) -> BaseException:
        """Return what may be raised in place of an error whose frames or words hold the draft."""
        is_callers_own = self._direct is None and not self._found_unsafe
        is_ours = isinstance(error, ECSOStepError)
        what = describe_error(error)
        strip_frames(error)
        if isinstance(error, Exception) and not is_callers_own and not is_ours:
            return ECSOProtocolError(f"the answer could not be put together ({what})")
        return error
