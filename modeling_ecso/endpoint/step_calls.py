"""The calls of one run: which messages and fields ask a step, and so many at a time.

Covered: steps 2 to 4 are asked not to think, or get room for it, and what they think goes no
further; a server whose model thinks all of a sudden is asked anew.
Not covered: what the replies mean; that is the protocol's.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..events_ecso import FollowUpAsk, ImageAsk, PromptAsk, Step, StepReply
from .chat import Chat, Message
from .model_server import (
    THOUGHT_TOKENS,
    Completion,
    Fault,
    ModelServer,
    ModelServerError,
    ServerTraits,
)
from .sampling import Sampling, can_run_on
from .streamed_completion import OnPiece, StreamedCompletion


# The most calls at a time.
MAX_PARALLEL_CALLS = 8
# What a verdict needs to be read as text, where a single token was enough for probabilities.
MIN_TEXT_VERDICT_TOKENS = 8
# From a prompt to the messages that ask it.
Turn = Callable[[str], list[Message]]
# Further fields of the requests of a step.
StepFields = Mapping[Step, Mapping[str, Any]]


class TooManyPrompts(Exception):
    """A step has more prompts than may be asked."""


class Interrupted(Exception):
    """A task was to end with what is no `Exception`."""

    def __init__(self, interrupt: BaseException):
        """Keep it, to be raised where the steps are at work."""
        super().__init__()
        self.interrupt = interrupt


class StepCalls:
    """Asks a model server what the steps of one run ask.

    Args:
        server: The model that answers.
        chat: The conversation.
        sampling: How the answer is to be written.
        max_prompts: The most prompts of one step.
        limit: Lets so many calls through at a time; None: eight.
        step_fields: Further fields of the requests of a step; they stand above all others.

    Attributes:
        traits: What the server does, once `learn` has asked.
        max_prompts: The most prompts of one step.
        reads_verdicts_as_text: Whether a verdict needs room for words.
        prompt_tokens: How many tokens the prompts of each step had.
        tokens: How many were generated for each step, for beginnings of drafts and in calls that
            were abandoned among them, as far as the server had told by then.
    """

    def __init__(
        self,
        server: ModelServer,
        chat: Chat,
        sampling: Sampling,
        max_prompts: int,
        limit: asyncio.Semaphore | None = None,
        step_fields: StepFields | None = None,
    ):
        """Prepare; nothing is asked yet."""
        self.traits = ServerTraits(gives_logprobs=False)
        self.reads_verdicts_as_text = False
        self.prompt_tokens: Counter[Step] = Counter()
        self.tokens: Counter[Step] = Counter()
        self._server = server
        self._chat = chat
        self._sampling = sampling
        self.max_prompts = max_prompts
        self._limit = limit or asyncio.Semaphore(MAX_PARALLEL_CALLS)
        self._step_fields = step_fields or {}

    async def learn(self) -> ServerTraits:
        """Return what the server does.

        Raises:
            ModelServerError: It cannot be asked.
        """
        self.traits = await self._server.traits()
        return self.traits

    @property
    def draft_can_run_on(self) -> bool:
        """Whether something can keep the draft from ending where the model would end it."""
        return can_run_on(self._draft_fields())

    @property
    def draft_is_switched_off_thinking(self) -> bool:
        """Whether the draft is asked for with what was seen to keep the model from thinking."""
        thought_off = self.traits.thought_off
        return bool(thought_off) and _includes(self._draft_fields(), thought_off)

    async def draft(self, on_piece: OnPiece | None = None) -> Completion:
        """Return the answer to the conversation as it stands.

        Args:
            on_piece: Is told of what has arrived, where the model server streams.

        Raises:
            ModelServerError: There is none.
            Interrupted: The call was to end with what is no `Exception`.
            Whatever ``on_piece`` raises.
        """
        return await self._complete_in_task(
            Step.DIRECT, self._chat.messages, self._draft_fields(), on_piece
        )

    async def ask(self, ask: PromptAsk, draft: str) -> list[Completion]:
        """Return one completion for each prompt of a step.

        Args:
            ask: What is asked.
            draft: The draft, or its beginning, that a follow-up question stands after.

        Raises:
            TooManyPrompts: There are more than may be asked.
            ModelServerError: A prompt was not answered.
            Interrupted: A call was to end with what is no `Exception`.
            ExceptionGroup: Of these, where there are several prompts.
        """
        if len(ask.prompts) > self.max_prompts:
            raise TooManyPrompts
        completions = await self._ask_all(ask, draft)
        if self._thinks_unasked(ask, completions):
            before, self.traits = self.traits, await self._server.traits(anew=True)
            if self.traits != before:
                completions = await self._ask_all(ask, draft)
        if any(one.thought and not one.text for one in completions):
            raise ModelServerError(Fault.THOUGHT_ONLY)
        return completions

    async def _ask_all(self, ask: PromptAsk, draft: str) -> list[Completion]:
        """Ask all prompts of a step at once; the first failure ends the others."""
        turn, fields = self._turn_of(ask, draft), self._fields(ask)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._complete_in_task(ask.step, turn(prompt), fields))
                for prompt in ask.prompts
            ]
        return [task.result() for task in tasks]

    def _thinks_unasked(self, ask: PromptAsk, completions: list[Completion]) -> bool:
        is_known = self.traits.always_thinks or ask.step in self._step_fields
        return not is_known and any(one.thought for one in completions)

    def _turn_of(self, ask: PromptAsk, draft: str) -> Turn:
        """Return what makes the messages that ask a prompt of a step."""
        if isinstance(ask, ImageAsk):
            return self._chat.turn_with_images
        if isinstance(ask, FollowUpAsk):
            return partial(self._chat.turn_after, draft)
        return self._chat.turn_of_text

    async def _complete_in_task(
        self,
        step: Step,
        messages: Sequence[Message],
        fields: dict[str, Any],
        on_piece: OnPiece | None = None,
    ) -> Completion:
        answer: Completion | StreamedCompletion | None = None

        def note(written: StreamedCompletion) -> None:
            nonlocal answer
            answer = written
            if on_piece is not None:
                on_piece(written)

        further = {} if on_piece is None else {"on_piece": note}
        judges = step is Step.DETECT
        try:
            async with self._limit:
                answer = await self._server.complete(messages, fields, judges, **further)
                return answer
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as error:
            interrupt = error.with_traceback(None)
        finally:
            if answer is not None:
                self.prompt_tokens[step] += answer.prompt_tokens
                self.tokens[step] += answer.tokens
        # asyncio lets such a one out of the loop at once, past the run, with the frames of this
        # task and its messages. It is raised where the steps are at work.
        raise Interrupted(interrupt)

    def _draft_fields(self) -> dict[str, Any]:
        return {**self._sampling.fields(), **self._step_fields.get(Step.DIRECT, {})}

    def _fields(self, ask: PromptAsk) -> dict[str, Any]:
        fields: dict[str, Any] = {"max_tokens": ask.max_new_tokens, "temperature": 0}
        if ask.step is Step.DETECT and self.reads_verdicts_as_text:
            fields["max_tokens"] = max(ask.max_new_tokens or 0, MIN_TEXT_VERDICT_TOKENS)
        if ask.step is Step.SAFE:
            fields = replace(self._sampling, enable_thinking=None, reasoning_effort=None).fields()
            limits = [n for n in (ask.max_new_tokens, self._sampling.max_tokens) if n is not None]
            fields |= {"max_tokens": min(limits)} if limits else {}
        if self.traits.always_thinks and fields.get("max_tokens"):
            fields["max_tokens"] += THOUGHT_TOKENS
        return {**fields, **self.traits.thought_off, **self._step_fields.get(ask.step, {})}


def _includes(fields: Any, wanted: Any) -> bool:
    """Return whether fields say all that is wanted, at any depth."""
    if not isinstance(wanted, Mapping):
        return bool(fields == wanted)
    return isinstance(fields, Mapping) and all(
        _includes(fields.get(name), value) for name, value in wanted.items()
    )


def reply_of(completions: list[Completion], tokens: int, milliseconds: float) -> StepReply:
    """Return what the protocol is told of a step.

    Args:
        completions: One for each prompt.
        tokens: How many tokens were generated for it.
        milliseconds: Wall time of the step.
    """
    return StepReply(
        texts=tuple(completion.text for completion in completions),
        tokens=tokens,
        milliseconds=milliseconds,
        p_unsafe=tuple(completion.p_unsafe for completion in completions),
        thought=completions[0].thought,
    )


def first_error(group: ExceptionGroup[Exception]) -> Exception:
    """Return what ended a group of calls: an interrupt, if one did, else their first error."""
    errors = [first_error(e) if isinstance(e, ExceptionGroup) else e for e in group.exceptions]
    return next((error for error in errors if isinstance(error, Interrupted)), errors[0])
