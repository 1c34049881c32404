"""One protected answer of a model behind an API: next step → ask the model → feed the reply.

Covered: a step that fails after the draft ends in the refusal, or in an exception that holds
nothing of the draft; the safe step is asked from text alone; an answer of too many windows is not
judged and not shown; so many calls at a time and no more.
Not covered: failures of the direct step, which come through as `ModelServerError`; drafts are
judged when they are complete, the setting ``draft_checkpoints`` has no effect here.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..errors_ecso import ECSOProtocolError, describe_error
from ..events_ecso import (
    Ask,
    DirectAsk,
    FollowUpAsk,
    ImageAsk,
    Outcome,
    PromptAsk,
    Step,
    StepEvent,
    StepReply,
    Trace,
)
from ..protocol_ecso import Protocol
from ..settings_ecso import ECSOConfig
from .chat import Chat, Message
from .model_server import Completion, ModelServer, ModelServerError
from .reason import EndpointStepError, Reason, reason_of
from .sampling import Sampling


logger = logging.getLogger(__name__)

# The most prompts of a step, which are the windows of an answer; a longer answer is not judged.
MAX_PROMPTS = 128
# The most calls at a time.
MAX_PARALLEL_CALLS = 8
# What a verdict needs to be read as text, where a single token was enough for probabilities.
MIN_TEXT_VERDICT_TOKENS = 8
# From a prompt to the messages that ask it.
Turn = Callable[[str], list[Message]]
# How the refusal ends an answer, in the words of the chat completions API.
REFUSED = "content_filter"


@dataclass(frozen=True)
class EndpointAnswer:
    """An answer that has passed the protocol.

    Args:
        text: The text.
        finish_reason: ``stop`` or ``length``; ``content_filter`` for the configured refusal.
        tokens: Number of tokens of the text, 0 for the refusal.
    """

    text: str
    finish_reason: str
    tokens: int


class EndpointRun:
    """The steps of one answer. Iterate for a `StepEvent` after each; then read `answer`, `trace`.

    Args:
        server: The model that answers.
        chat: The conversation.
        ecso_config: Prompts and policies; the protocol runs whether or not they switch it off.
            Where they want verdicts from ``logits`` and the server gives no log-probabilities,
            verdicts are read as text by the ``normalized`` rule.
        sampling: How the answer is to be written.
        index: The answer's place among those to the same conversation.
        max_prompts: The most prompts of one step. An answer that has more windows cannot be judged.
        calls: Lets so many calls through at a time; runs may share it. None: eight of this run.
    """

    def __init__(
        self,
        server: ModelServer,
        chat: Chat,
        ecso_config: ECSOConfig,
        sampling: Sampling | None = None,
        index: int = 0,
        max_prompts: int = MAX_PROMPTS,
        calls: asyncio.Semaphore | None = None,
    ):
        """Prepare; nothing runs before the iteration."""
        self._server = server
        self._chat = chat
        # A copy of its own: what a server cannot do is changed in it.
        self._ecso_config = ecso_config.updated({})
        self._sampling = sampling or Sampling()
        self._index = index
        self._max_prompts = max_prompts
        self._calls = calls or asyncio.Semaphore(MAX_PARALLEL_CALLS)
        self._answer: EndpointAnswer | None = None
        self._trace: Trace | None = None
        self.failure: ModelServerError | None = None
        self.reads_text_instead = False
        self.prompt_tokens: dict[Step, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether the protocol has ended, so that there is a trace."""
        return self._trace is not None

    @property
    def has_answer(self) -> bool:
        """Whether there is an answer; not at the end either, if a step failed and that raises."""
        return self._answer is not None

    @property
    def answer(self) -> EndpointAnswer:
        """The answer. Raises ECSOProtocolError where there is none (yet)."""
        if self._answer is None:
            raise ECSOProtocolError("there is no answer yet, or a step failed")
        return self._answer

    @property
    def trace(self) -> Trace:
        """What happened. Raises ECSOProtocolError before the end."""
        if self._trace is None:
            raise ECSOProtocolError("there is no trace yet; iterate to the end first")
        return self._trace

    @property
    def reason(self) -> Reason | None:
        """Why the answer is not the model's own; None where it is."""
        return reason_of(self.trace, self.failure)

    async def __aiter__(self) -> AsyncIterator[StepEvent]:
        """Run the protocol.

        Raises:
            ModelServerError: The direct step failed, or the server could not be asked at all.
            ECSOStepError: A later step failed and ``on_error`` is ``raise``.
        """
        if not await self._server.gives_logprobs():
            self._read_verdicts_as_text()
        try:
            async for event in self._steps():
                yield event
        except BaseException as error:
            # A traceback would hold the frames of the steps, and those a draft.
            raise error.with_traceback(None) from None
        if self._answer is None and self.trace.failed_step is not None:
            raise EndpointStepError(self.trace.failed_step, self.reason)

    async def _steps(self) -> AsyncIterator[StepEvent]:
        chat = self._chat
        protocol = Protocol(
            self._ecso_config,
            chat.query,
            bool(chat.images),
            begun=chat.begun,
            earlier_answers=chat.earlier_answers,
            can_run_on=self._sampling.can_run_on,
            index=self._index,
        )
        answers: dict[Step, Completion] = {}
        while (ask := protocol.ask) is not None:
            started = time.perf_counter()
            completions = await self._completions(ask, answers.get(Step.DIRECT))
            if completions is None:
                protocol.fail()
                continue
            if ask.step is Step.DETECT and not all(one.has_logprobs for one in completions):
                if self._read_verdicts_as_text():
                    continue  # the same is asked again, with room for words
            answers[ask.step] = completions[0]
            reply = _reply(completions, (time.perf_counter() - started) * 1000)
            is_too_long = ask.step is not Step.DETECT and self._is_too_long(reply.texts[0])
            event = protocol.receive(replace(reply, texts=("",)) if is_too_long else reply)
            if is_too_long and protocol.next_step is Step.DETECT:
                protocol.fail()
            if protocol.next_step in (Step.CAPTION, Step.SAFE):
                answers.pop(Step.DIRECT, None)  # withheld, hence forgotten
            if protocol.is_over:
                self._finish(protocol, answers)
            yield event
        if not self.is_over:
            self._finish(protocol, answers)

    def _finish(self, protocol: Protocol, answers: dict[Step, Completion]) -> None:
        """Set trace and answer; no answer where a failed step is to raise."""
        self._trace = protocol.trace
        if self._trace.failed_step and self._ecso_config.on_error == "raise":
            return
        source = {Outcome.DIRECT: Step.DIRECT, Outcome.SAFE: Step.SAFE}.get(protocol.outcome)
        if source is None:
            self._answer = EndpointAnswer(self._ecso_config.refusal, REFUSED, 0)
        else:
            said = answers[source]
            self._answer = EndpointAnswer(said.text, said.finish_reason, said.tokens)

    def _read_verdicts_as_text(self) -> bool:
        """Do without log-probabilities from now on; return whether that changes anything."""
        if self._ecso_config.verdict_rule != "logits":
            return False
        self._ecso_config.verdict_rule = "normalized"
        self.reads_text_instead = True
        return True

    def _is_too_long(self, answer: str) -> bool:
        """Return whether an answer has more windows than may be asked about."""
        config = self._ecso_config
        stride = config.window_chars - config.window_overlap_chars
        chars = len(self._chat.begun) + len(answer)
        return config.draft_view == "windows" and chars > self._max_prompts * stride

    async def _completions(self, ask: Ask, draft: Completion | None) -> list[Completion] | None:
        """Return one completion for each prompt; None where a step after the draft failed."""
        completions: list[Completion] | None = None
        interrupt: BaseException | None = None
        if isinstance(ask, DirectAsk):
            fields = self._sampling.fields()
            completions = [await self._complete(self._chat.messages, fields, judges=False)]
        else:
            try:
                completions = await self._ask_all(ask, self._turn_of(ask, draft))
            except* Exception as group:
                error = _first(group)
                if isinstance(error, _Interrupted):
                    interrupt = error.interrupt
                else:
                    self._note_failure(ask.step, error)
        if interrupt is not None:
            raise interrupt
        if completions:
            asked = self.prompt_tokens.get(ask.step, 0)
            self.prompt_tokens[ask.step] = asked + sum(c.prompt_tokens for c in completions)
        return completions

    def _note_failure(self, step: Step, error: Exception) -> None:
        """Keep and tell what is known to hold no text."""
        self.failure = error if isinstance(error, ModelServerError) else None
        cause = self.failure.fault if self.failure else describe_error(error)
        logger.warning("the %s step failed (%s); the draft is withheld", step, cause)

    def _turn_of(self, ask: PromptAsk, draft: Completion | None) -> Turn:
        """Return what makes the messages that ask a prompt of a step."""
        if isinstance(ask, ImageAsk):
            return self._chat.turn_with_images
        if isinstance(ask, FollowUpAsk) and draft is not None:
            return partial(self._chat.turn_after, draft.text)
        return self._chat.turn_of_text

    async def _ask_all(self, ask: PromptAsk, turn: Turn) -> list[Completion]:
        """Ask all prompts of a step at once; the first failure ends the others."""
        if len(ask.prompts) > self._max_prompts:
            raise _TooManyPrompts
        fields, judges = self._fields(ask), ask.step is Step.DETECT
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._complete_in_task(turn(prompt), fields, judges))
                for prompt in ask.prompts
            ]
        return [task.result() for task in tasks]

    async def _complete_in_task(
        self, messages: Sequence[Message], fields: dict[str, Any], judges: bool
    ) -> Completion:
        try:
            return await self._complete(messages, fields, judges)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:
            interrupt = error.with_traceback(None)
        # asyncio lets such a one out of the loop at once, past `__aiter__`, with the frames of this
        # task and its messages. It is raised where the steps are at work.
        raise _Interrupted(interrupt)

    async def _complete(
        self, messages: Sequence[Message], fields: dict[str, Any], judges: bool
    ) -> Completion:
        async with self._calls:
            return await self._server.complete(messages, fields, judges)

    def _fields(self, ask: PromptAsk) -> dict[str, Any]:
        if ask.step is not Step.SAFE:
            limit = ask.max_new_tokens
            if ask.step is Step.DETECT and self.reads_text_instead:
                limit = max(limit or 0, MIN_TEXT_VERDICT_TOKENS)
            return {"max_tokens": limit, "temperature": 0}
        fields = self._sampling.fields()
        limits = [n for n in (ask.max_new_tokens, self._sampling.max_tokens) if n is not None]
        return fields | ({"max_tokens": min(limits)} if limits else {})


class _TooManyPrompts(Exception):
    """A step has more prompts than may be asked."""


class _Interrupted(Exception):
    """A task was to end with what is no `Exception`."""

    def __init__(self, interrupt: BaseException):
        super().__init__()
        self.interrupt = interrupt


def _reply(completions: list[Completion], milliseconds: float) -> StepReply:
    return StepReply(
        texts=tuple(completion.text for completion in completions),
        tokens=sum(completion.tokens for completion in completions),
        milliseconds=milliseconds,
        p_unsafe=tuple(completion.p_unsafe for completion in completions),
    )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    errors = [_first(e) if isinstance(e, ExceptionGroup) else e for e in group.exceptions]
    return next((error for error in errors if isinstance(error, _Interrupted)), errors[0])
