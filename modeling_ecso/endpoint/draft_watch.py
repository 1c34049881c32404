"""Has a draft written and judges it meanwhile, side by side with the writing.

Covered: an unsafe beginning ends the writing, on the model server too; at each checkpoint of the
settings it is asked what would be asked if the draft ended there; each full window of an answer is
judged as soon as it is written, since it would be at the end anyway; one question at a time, about
what is there when it is put; a beginning that could not be judged settles nothing; a reader sees a
beginning that was judged safe, less the hold-back of the settings, and no thought.
Not covered: the verdict on the whole, which is asked for as ever. A question that is open when the
draft ends is dropped for it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

from ..errors_ecso import describe_error, strip_frames
from ..events_ecso import PromptAsk, StepReply
from ..protocol_ecso import Protocol
from ..settings_ecso import ECSOConfig
from .completion_read import completion_of
from .model_server import Completion, ModelServerError
from .reader import Reader
from .step_calls import Interrupted, StepCalls, first_error
from .streamed_completion import StreamedCompletion
from .thought import IN_CONTENT, Said
from .verdict_calls import VerdictCalls


logger = logging.getLogger(__name__)
Result = TypeVar("Result")
# What is shown without a verdict is shown so many characters at a time, or more.
_LEAST_SHOWN = 16


class _TooLong(Exception):
    """The draft is longer than can be judged."""


class DraftWatch:
    """Has one draft written. Has no repr: it holds the draft.

    Args:
        protocol: Says what to ask of a beginning, and is told the replies.
        calls: Has the draft written.
        verdicts: Asks about it.
        ecso_config: Says how long the windows of an answer are.
        begun: The turn that the draft goes on with.
        most_chars: A draft that is longer need not be written any further.
        observes: Whether the draft is written to its end and seen at once, whatever is found.
        reader: Sees it; None: nobody does before it is complete.
    """

    def __init__(
        self,
        protocol: Protocol,
        calls: StepCalls,
        verdicts: VerdictCalls,
        ecso_config: ECSOConfig,
        begun: str,
        most_chars: float,
        observes: bool = False,
        reader: Reader | None = None,
    ):
        """Prepare; nothing is asked yet."""
        self._protocol = protocol
        self._calls = calls
        self._verdicts = verdicts
        self._most_chars = math.inf if observes else most_chars
        self._observes = observes
        self._reader = reader
        self._hold_back_chars = ecso_config.stream_hold_back_chars
        self._shows_at_chars = 0
        self._written = StreamedCompletion()
        self._grown = asyncio.Event()
        self._is_over = False
        self._next_tokens = self._checkpoint_after(0)
        self._windows = _WindowEnds(ecso_config, len(begun))

    async def draft(self) -> Completion:
        """Return the draft; where it was abandoned, what there was of it.

        Raises:
            ModelServerError: There is none.
            Interrupted: A call was to end with what is no `Exception`.
        """
        started = time.perf_counter()
        writing = asyncio.create_task(_without_frames(self._calls.draft(self._on_piece)))
        judging = asyncio.create_task(_without_frames(self._find_unsafe()))
        try:
            await asyncio.wait({writing, judging}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                return writing.result()
            judging.result()
            if self._observes:
                return await writing
        except _TooLong:
            pass
        finally:
            # Said apart, since a question that fails just now swallows its cancellation.
            self._is_over = True
            self._grown.set()
            for task in (writing, judging):
                task.cancel()
            await asyncio.gather(writing, judging, return_exceptions=True)
        return self._cut_short((time.perf_counter() - started) * 1000)

    def _on_piece(self, written: StreamedCompletion) -> None:
        self._written = written
        if written.chars > self._most_chars:
            raise _TooLong
        if self._reader is not None and (self._observes or not self._protocol.is_judged):
            self._show_at_once(self._reader)
        self._grown.set()

    def _show_at_once(self, reader: Reader) -> None:
        """Show all there is, in steps that grow with it: each looks at all of it."""
        if self._written.chars < self._shows_at_chars:
            return
        self._shows_at_chars = self._written.chars + max(_LEAST_SHOWN, self._written.chars // 32)
        said = self._written.said()
        if said is not None and not self._holds_thought(said):
            reader.show_up_to(said.text)

    def _holds_thought(self, said: Said) -> bool:
        """Return whether the content is, or may turn out to be, a thought."""
        if said.field == IN_CONTENT:
            return True
        # Only its end may tell it from an answer, so all of it waits.
        thinks_there = self._calls.traits.thought_field == IN_CONTENT
        return thinks_there and not self._calls.draft_is_switched_off_thinking

    def _checkpoint_after(self, tokens: int) -> int | None:
        is_shown = self._reader is not None and not self._observes
        return self._protocol.next_checkpoint(tokens, is_shown)

    def _cut_short(self, milliseconds: float) -> Completion:
        """Return what was written before it was abandoned."""
        said = completion_of(self._written.body(is_cut_short=True), milliseconds)
        return replace(said, tokens=self._written.tokens)

    async def _find_unsafe(self) -> None:
        """Judge what is written, again and again; return once it is unsafe."""
        while True:
            await self._grown.wait()
            if self._is_over:
                return
            self._grown.clear()
            said = self._to_judge()
            if said is None:
                continue
            ask = self._protocol.ask_about_beginning(said.text, said.thought, as_whole=True)
            reply = await self._reply(ask, said.text) if ask else None
            if self._is_over:
                return
            if reply is not None and self._protocol.receive_about_beginning(reply):
                return
            if reply is not None and self._reader is not None and not self._holds_thought(said):
                last = max(len(said.text) - self._hold_back_chars, 0)
                self._reader.show_up_to(said.text[:last].rstrip())
            self._grown.set()  # more may have come meanwhile

    def _to_judge(self) -> Said | None:
        """Return what is to be judged now; None: nothing yet."""
        if not self._protocol.is_judged:
            return None
        tokens = self._written.tokens
        if self._next_tokens is not None and tokens >= self._next_tokens:
            self._next_tokens = self._checkpoint_after(tokens)
            return self._written.said()
        return self._windows.full_ones(self._written)

    async def _reply(self, ask: PromptAsk, text: str) -> StepReply | None:
        """Return the reply to a question; None where there is none that can be used."""
        try:
            return await self._verdicts.reply(ask, text)
        except* Exception as group:
            error = first_error(group)
        if isinstance(error, Interrupted):
            raise error
        cause = error.fault if isinstance(error, ModelServerError) else describe_error(error)
        logger.info("the beginning of a draft was not judged (%s)", cause)
        return None


async def _without_frames(work: Awaitable[Result]) -> Result:
    """Await a work; how it fails is kept by its task, and its frames hold the draft."""
    try:
        return await work
    except BaseException as error:
        strip_frames(error)
        raise


class _WindowEnds:
    """Where in a draft the windows end that its last verdict looks at as well.

    Args:
        ecso_config: Says how long windows are.
        begun_chars: How long the turn is that the draft goes on with.
    """

    def __init__(self, ecso_config: ECSOConfig, begun_chars: int):
        self._size = ecso_config.window_chars
        self._stride = self._size - ecso_config.window_overlap_chars
        self._is_head = ecso_config.draft_view == "head"
        self._begun_chars = 0 if self._is_head else begun_chars
        self._end: int | None = self._end_after(self._begun_chars)
        if ecso_config.follow_up_prompt is not None:
            self._end = None  # another question is asked of a draft of one window
        self._look_at = 0

    def full_ones(self, written: StreamedCompletion) -> Said | None:
        """Return the draft up to the end of its last full window; None: there is no new one."""
        if self._end is None or written.chars < self._look_at:
            return None
        said = written.said()
        if said is None:
            return None
        if said.thought:
            self._end = None  # windows of thought and answer together lie elsewhere
            return None
        chars = self._begun_chars + len(said.text)
        if chars < self._end:
            self._look_at = written.chars + self._end - chars
            return None
        following = self._end_after(chars)
        full = (following or self._end + self._stride) - self._stride - self._begun_chars
        self._end = following
        return said._replace(text=said.text[:full])

    def _end_after(self, chars: int) -> int | None:
        """Return where the first window ends that is not full with so many characters."""
        if chars < self._size:
            return self._size
        if self._is_head:
            return None
        return self._size + ((chars - self._size) // self._stride + 1) * self._stride
