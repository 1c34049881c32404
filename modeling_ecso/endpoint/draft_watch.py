"""Judges a draft while it is still being written, side by side with the writing.

Covered: an unsafe beginning ends the writing, on the model server too; a reader is shown a draft
up to the last checkpoint at which it, and every checkpoint before it, was judged safe, less the
hold-back of the settings; a checkpoint that could not be judged shows nothing and settles nothing.
Not covered: the verdict on the whole, which is asked for as ever; thoughts, which a reader gets
with the whole answer.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Protocol as Interface

from ..errors_ecso import describe_error
from ..events_ecso import PromptAsk, StepReply
from ..protocol_ecso import Protocol
from ..settings_ecso import ECSOConfig
from .model_server import Completion
from .step_calls import Interrupted, StepCalls, reply_of
from .streamed_completion import CHARS_PER_TOKEN, StreamedCompletion
from .thought import IN_CONTENT


logger = logging.getLogger(__name__)


class Reader(Interface):
    """Whoever is shown an answer while it is written."""

    def show(self, text: str) -> None:
        """Take more of the answer."""
        ...

    def withdraw(self) -> None:
        """Take note that what was shown is void; another answer comes."""
        ...


@dataclass(repr=False)
class _Checkpoint:
    """A beginning that is judged. Has no repr: it may be unsafe.

    Args:
        showable: What of it may be shown if it is safe.
        is_judged: Whether its question was answered, or could not be.
        is_safe: Whether it was found safe.
    """

    showable: str
    is_judged: bool = False
    is_safe: bool = False


class DraftWatch:
    """Has a draft written and judges it meanwhile.

    Args:
        protocol: Says what to ask of a beginning, and is told the replies.
        calls: Asks the model server.
        ecso_config: Says where checkpoints are, and how much is held back.
        reader: Is shown what was judged safe; None: nobody is.
    """

    def __init__(
        self,
        protocol: Protocol,
        calls: StepCalls,
        ecso_config: ECSOConfig,
        reader: Reader | None = None,
    ):
        """Prepare; nothing is asked yet."""
        self._protocol = protocol
        self._calls = calls
        self._config = ecso_config
        self._reader = reader
        self._hold_back = ecso_config.stream_hold_back_tokens * CHARS_PER_TOKEN
        self._next = protocol.next_checkpoint(0)
        self._tokens = 0
        self._checkpoints: list[_Checkpoint] = []
        self._questions: set[asyncio.Task[None]] = set()
        self._found_unsafe = asyncio.Event()
        self._shown = 0

    async def draft(self) -> Completion:
        """Return the draft; where its beginning was unsafe, an empty one.

        Raises:
            ModelServerError: There is none.
        """
        started = time.perf_counter()
        writing = asyncio.create_task(self._calls.draft(self._on_piece))
        alarm = asyncio.create_task(self._found_unsafe.wait())
        try:
            await asyncio.wait({writing, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if not self._found_unsafe.is_set():
                return writing.result()
        finally:
            writing.cancel()
            alarm.cancel()
            await asyncio.gather(writing, alarm, return_exceptions=True)
        elapsed = (time.perf_counter() - started) * 1000
        return Completion("", self._tokens, 0, "stop", False, None, elapsed)

    async def last_verdicts(self) -> None:
        """Wait until every question about a beginning is answered, or could not be.

        Raises:
            Interrupted: A call was to end with what is no `Exception`.
        """
        await asyncio.gather(*self._questions)

    async def close(self) -> None:
        """Cancel the questions that are still open, and forget what they are about."""
        for question in self._questions:
            question.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)
        self._questions.clear()
        self._checkpoints.clear()

    def withdraw(self) -> None:
        """Tell the reader that what was shown is void, where anything was."""
        self._checkpoints.clear()
        if self._reader is not None and self._shown:
            self._reader.withdraw()
        self._shown = 0

    def _on_piece(self, written: StreamedCompletion) -> None:
        self._tokens = written.tokens
        if not self._protocol.is_judged:
            self._show(written.content.strip())
            return
        if self._next is None or written.tokens < self._next:
            return
        said = written.said()
        if said is None:
            return
        ask = self._protocol.ask_about_beginning(said.text, said.thought)
        self._next = self._protocol.next_checkpoint(written.tokens)
        if ask is None:
            return
        checkpoint = _Checkpoint("")
        if IN_CONTENT not in (said.field, self._calls.traits.thought_field):
            showable = written.content.strip()
            checkpoint.showable = showable[: max(len(showable) - self._hold_back, 0)].rstrip()
        self._checkpoints.append(checkpoint)
        question = asyncio.create_task(self._judge(ask, checkpoint))
        self._questions.add(question)

    async def _judge(self, ask: PromptAsk, checkpoint: _Checkpoint) -> None:
        reply = await self._reply(ask)
        checkpoint.is_judged = True
        if reply is None:
            return
        if self._protocol.receive_about_beginning(reply):
            self._found_unsafe.set()
            return
        checkpoint.is_safe = True
        self._show_judged()

    async def _reply(self, ask: PromptAsk) -> StepReply | None:
        """Return the reply to a question; None where there is none that can be used."""
        started = time.perf_counter()
        try:
            completions = await self._calls.ask(ask, None)
        except Interrupted:
            raise
        except* Exception as group:
            logger.info("a beginning was not judged (%s)", describe_error(group.exceptions[0]))
            return None
        wants_probabilities = self._config.verdict_rule == "logits"
        if wants_probabilities and not all(one.has_logprobs for one in completions):
            return None
        return reply_of(completions, (time.perf_counter() - started) * 1000)

    def _show_judged(self) -> None:
        """Show up to the last of the checkpoints that were all answered, if it is safe."""
        judged = 0
        while judged < len(self._checkpoints) and self._checkpoints[judged].is_judged:
            judged += 1
        safe = [one for one in self._checkpoints[:judged] if one.is_safe]
        if safe and not self._found_unsafe.is_set():
            self._show(safe[-1].showable)

    def _show(self, text: str) -> None:
        if self._reader is not None and len(text) > self._shown:
            self._reader.show(text[self._shown :])
            self._shown = len(text)
