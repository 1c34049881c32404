"""One protected answer of a model behind an API: next step → ask the model → feed the reply.

Covered: a step that fails after the draft ends in the refusal, or in an exception that holds
nothing of the draft; a draft is judged while it is being written, see `draft_watch`; the safe step
is asked from text alone; an answer of too many windows is not judged and not shown; so many calls
at a time and no more.
Not covered: failures of the direct step, which come through as `ModelServerError`.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, replace

from ..errors_ecso import ECSOProtocolError, describe_error, strip_frames
from ..events_ecso import Ask, DirectAsk, Outcome, Step, StepEvent, StepReply, Trace
from ..protocol_ecso import Protocol
from ..settings_ecso import ECSOConfig
from .chat import Chat
from .draft_watch import DraftWatch
from .model_server import Completion, ModelServer, ModelServerError
from .reader import Reader
from .reason import EndpointStepError, Reason, reason_of
from .sampling import Sampling
from .step_calls import Interrupted, StepCalls, StepFields, first_error, reply_of
from .verdict_calls import VerdictCalls


logger = logging.getLogger(__name__)

# The most prompts of a step, which are the windows of an answer; a longer answer is not judged.
MAX_PROMPTS = 128
# How the refusal ends an answer, in the words of the chat completions API.
REFUSED = "content_filter"


@dataclass(frozen=True)
class EndpointAnswer:
    """An answer that has passed the protocol.

    Args:
        text: The text; where the model writes its thought into the content, with that.
        finish_reason: ``stop`` or ``length``; ``content_filter`` for the configured refusal.
        tokens: Number of tokens of thought and text, 0 for the refusal.
        thought: What the model thought before it, where that came in a field of its own.
        thought_field: That field.
    """

    text: str
    finish_reason: str
    tokens: int
    thought: str = ""
    thought_field: str | None = None


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
        limit: Lets so many calls through at a time; runs may share it. None: eight of this run.
        step_fields: Further fields of the requests of a step; they stand above all others.
        observes: Whether the answer is the draft, whatever is found. Nothing is protected then: the
            trace says what would have happened.
        reader: Sees the answer while it is written, where the settings stream it in ``windows``, or
            where the run observes; what it has not seen by the end is `answer`'s to tell.
    """

    def __init__(
        self,
        server: ModelServer,
        chat: Chat,
        ecso_config: ECSOConfig,
        sampling: Sampling | None = None,
        index: int = 0,
        max_prompts: int = MAX_PROMPTS,
        limit: asyncio.Semaphore | None = None,
        step_fields: StepFields | None = None,
        observes: bool = False,
        reader: Reader | None = None,
    ):
        """Prepare; nothing runs before the iteration."""
        self.observes = observes
        self._reader = reader if observes or ecso_config.stream == "windows" else None
        self._chat = chat
        # A copy of its own: what a server cannot do is changed in it.
        self._ecso_config = ecso_config.updated({})
        self._index = index
        self._calls = StepCalls(
            server, chat, sampling or Sampling(), max_prompts, limit, step_fields
        )
        self._answer: EndpointAnswer | None = None
        self._trace: Trace | None = None
        self.failure: ModelServerError | None = None

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
    def reads_text_instead(self) -> bool:
        """Whether verdicts are read as text for want of log-probabilities."""
        return self._calls.reads_verdicts_as_text

    @property
    def prompt_tokens(self) -> Mapping[Step, int]:
        """How many tokens the prompts of each step had."""
        return self._calls.prompt_tokens

    @property
    def tokens(self) -> Mapping[Step, int]:
        """How many tokens were generated for each step, so far.

        More than the trace says where a call beside others failed, or all were abandoned.
        """
        return self._calls.tokens

    @property
    def reason(self) -> Reason | None:
        """Why the answer is not the model's own, or would not be; None where it is."""
        return reason_of(self.trace, self.failure)

    async def __aiter__(self) -> AsyncIterator[StepEvent]:
        """Run the protocol.

        Raises:
            ModelServerError: The direct step failed, or the server could not be asked at all.
            ECSOStepError: A later step failed and ``on_error`` is ``raise``.
        """
        await self._calls.learn()
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
            can_run_on=self._calls.draft_can_run_on,
            index=self._index,
        )
        verdicts = VerdictCalls(self._calls, self._ecso_config)
        answers: dict[Step, Completion] = {}
        while (ask := protocol.ask) is not None:
            asking = self._ask(ask, protocol, verdicts, answers)
            reply = await self._reply(ask.step, asking)
            if reply is None:
                protocol.fail()
                continue
            is_too_long = ask.step in answers and self._is_too_long(answers[ask.step])
            if is_too_long:
                reply = replace(reply, texts=("",), thought="")
            if ask.step is Step.DIRECT and self.observes:
                self._answer = _answer(answers[Step.DIRECT], with_thought=True)
            event = protocol.receive(reply)
            if is_too_long and protocol.next_step is Step.DETECT:
                protocol.fail()
            if protocol.draft_is_withheld:
                # Hence forgotten.
                answers.pop(Step.DIRECT, None)
                verdicts.forget()
                self._withdraw()
            if protocol.is_over:
                self._finish(protocol, answers)
            yield event
        if not self.is_over:
            self._finish(protocol, answers)

    def _finish(self, protocol: Protocol, answers: dict[Step, Completion]) -> None:
        """Set trace and answer; no answer where a failed step is to raise."""
        self._trace = protocol.trace
        if self.observes:
            return
        if protocol.draft_is_withheld:
            self._withdraw()
        if self._trace.failed_step and self._ecso_config.on_error == "raise":
            return
        source = {Outcome.DIRECT: Step.DIRECT, Outcome.SAFE: Step.SAFE}.get(protocol.outcome)
        if source is None:
            self._answer = EndpointAnswer(self._ecso_config.refusal, REFUSED, 0)
        else:
            with_thought = source is Step.DIRECT and self._ecso_config.keep_thought
            self._answer = _answer(answers[source], with_thought)

    def _withdraw(self) -> None:
        if self._reader is not None and not self.observes:
            self._reader.withdraw()

    async def _ask(
        self,
        ask: Ask,
        protocol: Protocol,
        verdicts: VerdictCalls,
        answers: dict[Step, Completion],
    ) -> StepReply:
        """Return the reply to a step; what may become the answer goes into ``answers``."""
        started = time.perf_counter()
        if not isinstance(ask, DirectAsk) and ask.step is Step.DETECT:
            draft = answers.get(Step.DIRECT)
            return await verdicts.reply(ask, draft.text if draft else "")
        if not isinstance(ask, DirectAsk):
            completions = await self._calls.ask(ask, draft="")
        elif protocol.is_judged or self._reader is not None:
            watch = DraftWatch(
                protocol,
                self._calls,
                verdicts,
                self._ecso_config,
                self._chat.begun,
                self._most_chars,
                self.observes,
                self._reader,
            )
            completions = [await watch.draft()]
        else:
            completions = [await self._calls.draft()]
        answers[ask.step] = completions[0]
        tokens = sum(completion.tokens for completion in completions)
        return reply_of(completions, tokens, (time.perf_counter() - started) * 1000)

    async def _reply(self, step: Step, asking: Awaitable[StepReply]) -> StepReply | None:
        """Return the reply to a step; None where a step after the draft failed."""
        try:
            return await asking
        except* Exception as group:
            error = first_error(group)
        if not isinstance(error, Interrupted) and step is not Step.DIRECT:
            self._note_failure(step, error)
            return None
        # Raised out here, so that it has no context; and tasks that have ended still hold it.
        strip_frames(error)
        raise error.interrupt if isinstance(error, Interrupted) else error

    @property
    def _most_chars(self) -> float:
        """How long an answer may be, so that it has no more windows than may be asked about."""
        config = self._ecso_config
        if config.draft_view != "windows":
            return math.inf
        stride = config.window_chars - config.window_overlap_chars
        return self._calls.max_prompts * stride - len(self._chat.begun)

    def _is_too_long(self, said: Completion) -> bool:
        return len(said.thought) + len(said.text) > self._most_chars

    def _note_failure(self, step: Step, error: Exception) -> None:
        """Keep and tell what is known to hold no text."""
        self.failure = error if isinstance(error, ModelServerError) else None
        cause = self.failure.fault if self.failure else describe_error(error)
        logger.warning("the %s step failed (%s); the draft is withheld", step, cause)
        strip_frames(error)


def _answer(said: Completion, with_thought: bool) -> EndpointAnswer:
    answer = EndpointAnswer(said.text, said.finish_reason, said.tokens)
    if not with_thought:
        return answer
    if said.whole_content is not None:
        return replace(answer, text=said.whole_content)
    return replace(answer, thought=said.thought, thought_field=said.thought_field)
