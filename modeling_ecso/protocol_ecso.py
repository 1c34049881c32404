"""The protocol itself: direct → detect → caption → safe, as a machine that never calls a model.

It says what to ask next and is told the reply, so that `generate()`, a server and a test drive
one and the same machine:

    protocol = Protocol(ecso_config, query, has_image=True)
    while (ask := protocol.ask) is not None:
        protocol.receive(run(ask))          # or protocol.fail(...)
    protocol.outcome                        # whose text is the answer: direct, safe or refusal

                 no image, not judged
        ┌──────────────────────────────────────────────────┐
    DIRECT ──► DETECT ──safe──────────────────────────────►│
                 │ unsafe                                  ▼
                 ├──image──► CAPTION ──► SAFE ──────────► DONE
                 └──no image───────────► SAFE              ▲
                                          │ judged         │
                                          └──► RECHECK ────┘

Covered: an answer is judged together with the turn that it goes on with; a draft judged unsafe, or
one that could not be judged, is forgotten at once, and the caption is never told; whatever fails
after the draft ends in the refusal; the safe step is a `TextAsk`, which has no field to put
an image in.
Not covered: what happens inside a step; a harmful text that the model itself judges harmless.

Source: arXiv 2403.09572, section 4; the published loop in github.com/gyhdog99/ecso at b00b386,
llava/eval/model_mmsafe_tell_ask.py.
"""

from enum import Enum

from .errors_ecso import ECSOProtocolError
from .events_ecso import (
    Ask,
    DirectAsk,
    FollowUpAsk,
    ImageAsk,
    Outcome,
    PromptAsk,
    Step,
    StepEvent,
    StepRecord,
    StepReply,
    TextAsk,
    Trace,
)
from .prompts_ecso import JudgedAnswer, caption_prompt, detect_prompts, safe_prompt
from .settings_ecso import ECSOConfig
from .verdict_ecso import Verdict, verdict_on_windows


class _State(Enum):
    """Where the machine stands."""

    DIRECT = "direct"
    DETECT = "detect"
    CAPTION = "caption"
    SAFE = "safe"
    RECHECK = "recheck"
    DONE = "done"


# The step that each state waits for.
_STEPS = {
    _State.DIRECT: Step.DIRECT,
    _State.DETECT: Step.DETECT,
    _State.CAPTION: Step.CAPTION,
    _State.SAFE: Step.SAFE,
    _State.RECHECK: Step.DETECT,
    _State.DONE: None,
}


class Protocol:
    """The protocol for one answer to one conversation.

    Args:
        ecso_config: Prompts and policies.
        query: All text of the conversation that the user controls.
        has_image: Whether the conversation holds an image.
        begun: The answer's turn as far as it stands in the conversation already.
        earlier_answers: The answers of earlier turns.
        can_run_on: Whether something in the call can keep the answer from ending where the model
            would end it.
        index: The answer's place in the output, for its events.

    Attributes:
        ask: What to ask the model next; None when the protocol has ended.
    """

    def __init__(
        self,
        ecso_config: ECSOConfig,
        query: str,
        has_image: bool,
        *,
        begun: str = "",
        earlier_answers: tuple[str, ...] = (),
        can_run_on: bool = False,
        index: int = 0,
    ):
        """Start at the direct step."""
        self._ecso_config = ecso_config
        self._query = query
        self._has_image = has_image
        self._begun = begun
        self._earlier_answers = earlier_answers
        self._can_run_on = can_run_on
        self._index = index
        self._verdict: Verdict | None = None
        self._p_unsafe: float | None = None
        self._caption: str | None = None
        self._safe_answer_verdict: Verdict | None = None
        self._records: list[StepRecord] = []
        self._outcome: Outcome | None = None
        self._failed_step: Step | None = None
        self._draft: str | None = None  # only where it may have to be kept
        self._kept_draft: str | None = None
        self._beginning_was_unsafe = False
        self._beginning_p_unsafe: float | None = None
        self._beginning_records: list[StepRecord] = []
        self._state = _State.DIRECT
        self.ask: Ask | None = DirectAsk()

    @property
    def next_step(self) -> Step | None:
        """The step to run next; None when the protocol has ended."""
        return _STEPS[self._state]

    @property
    def is_over(self) -> bool:
        """Whether the protocol has ended, so that there is nothing to ask."""
        return self._state is _State.DONE

    @property
    def is_judged(self) -> bool:
        """Whether the answer is judged at all."""
        return self._has_image or self._ecso_config.judge_text_only

    @property
    def safe_answer_is_judged(self) -> bool:
        """Whether a safe answer is judged before it is the answer."""
        # Where answers can run on, the safe one can as well, into anything.
        runs_on = self._can_run_on and self._ecso_config.short_windows != "never"
        return self._ecso_config.judge_safe_answer or runs_on

    @property
    def draft_is_withheld(self) -> bool:
        """Whether it is settled that the draft is not the answer."""
        if self.is_over:
            return self._outcome is not Outcome.DIRECT
        return self._state not in (_State.DIRECT, _State.DETECT)

    @property
    def outcome(self) -> Outcome:
        """Whose text is the answer.

        Raises:
            ECSOProtocolError: The protocol has not ended.
        """
        if self._outcome is None:
            raise ECSOProtocolError(f"there is no answer yet; the next step is {self._state.name}")
        return self._outcome

    @property
    def trace(self) -> Trace:
        """What happened. Raises ECSOProtocolError before the end."""
        return Trace(
            preset=self._ecso_config.preset,
            outcome=self.outcome,
            verdict=self._verdict,
            p_unsafe=self._p_unsafe,
            caption=self._shown_caption,
            safe_answer_verdict=self._safe_answer_verdict,
            steps=tuple(self._records),
            failed_step=self._failed_step,
            draft=self._kept_draft,
        )

    @property
    def _shown_caption(self) -> str | None:
        return self._caption if self._ecso_config.keep_caption else None

    def receive(self, reply: StepReply) -> StepEvent:
        """Take the model's reply to the last `ask` and move on; return what to tell of the step.

        Raises:
            ECSOProtocolError: The protocol has ended, or the reply does not fit what was asked.
        """
        ask = self.ask
        if ask is None:
            raise ECSOProtocolError("a reply came after the protocol had ended")
        expected = 1 if isinstance(ask, DirectAsk) else len(ask.prompts)
        for what, given in (("texts", reply.texts), ("probabilities", reply.p_unsafe)):
            if len(given) != expected and (given or what == "texts"):
                raise ECSOProtocolError(
                    f"step {ask.step.value} wants {expected} {what}, got {len(given)}"
                )
        record = StepRecord(ask.step, reply.tokens, reply.milliseconds)
        self._records.append(record)
        self._AFTER[self._state](self, reply)
        return StepEvent(
            index=self._index,
            record=record,
            verdict=self._verdict,
            p_unsafe=self._p_unsafe,
            caption=self._shown_caption,
            safe_answer_verdict=self._safe_answer_verdict,
            outcome=self._outcome,
            next_step=self.next_step,
            safe_answer_is_judged=self.safe_answer_is_judged,
        )

    def ask_about_beginning(
        self, text: str, thought: str = "", as_whole: bool = False
    ) -> PromptAsk | None:
        """Return what to ask about a draft that is still being written; None: nothing.

        Args:
            text: The draft so far.
            thought: What the model thought before it, so far.
            as_whole: Whether to ask whatever would be asked if the draft ended here, and not only
                what is enough to abandon an unsafe one early.

        Raises:
            ECSOProtocolError: The draft is complete.
        """
        if self._state is not _State.DIRECT:
            raise ECSOProtocolError("the draft is complete; there is no beginning to judge")
        if not self.is_judged or self._beginning_was_unsafe:
            return None
        if as_whole:
            return self._ask_about_draft(text, thought)
        answer = JudgedAnswer(text, self._begun, thought=thought)
        # Only to abandon what is unsafe early: the whole is judged in short windows as well.
        return self._detect_ask(answer, sees_images=self._has_image, in_short_windows=False)

    def next_checkpoint(self, tokens: int, is_shown: bool = False) -> int | None:
        """Return at how many tokens a draft is judged next; None: at its end alone.

        Args:
            tokens: How many it has.
            is_shown: Whether its beginning is shown as soon as that was judged.
        """
        if not self.is_judged:
            return None
        following = [at for at in self._ecso_config.draft_checkpoints if at > tokens]
        if is_shown:
            every = self._ecso_config.stream_checkpoint_tokens
            following.append((tokens // every + 1) * every)
        return min(following, default=None)

    def receive_about_beginning(self, reply: StepReply) -> bool:
        """Take the verdict on a beginning; return whether the draft is to be abandoned.

        An unsafe beginning is final: when the direct step's reply comes, the protocol goes on as if
        the whole draft had been found unsafe. A safe one settles nothing.
        """
        self._beginning_records.append(StepRecord(Step.DETECT, reply.tokens, reply.milliseconds))
        verdict, p_unsafe = self._judge(reply)
        self._beginning_p_unsafe = _highest(self._beginning_p_unsafe, p_unsafe)
        if self._is_unsafe(verdict):
            self._beginning_was_unsafe = True
            self._verdict, self._p_unsafe = verdict, p_unsafe
        return self._beginning_was_unsafe

    def fail(self) -> None:
        """Take note that the last `ask` could not be answered: the answer is the refusal.

        Raises:
            ECSOProtocolError: The protocol has ended, or there is no draft yet, in which case
                the failure is the caller's to see.
        """
        if self._state in (_State.DIRECT, _State.DONE):
            raise ECSOProtocolError(f"a failure cannot be taken in state {self._state.name}")
        if self._state is _State.DETECT:
            self._verdict = Verdict.UNCLEAR
        self._failed_step = self.next_step
        self._end(Outcome.REFUSAL)

    def _after_direct(self, reply: StepReply) -> None:
        self._records += self._beginning_records
        draft = reply.texts[0]
        if not self.is_judged:
            self._end(Outcome.DIRECT)
            return
        self._draft = draft.strip() if self._ecso_config.keep_draft else None
        if self._beginning_was_unsafe:
            self._go_on_without_draft()
            return
        self._move_to(_State.DETECT, self._ask_about_draft(draft, reply.thought))

    def _after_detect(self, reply: StepReply) -> None:
        self._verdict, p_unsafe = self._judge(reply)
        # What stands in the trace is what a threshold is compared with, anywhere on the way.
        self._p_unsafe = _highest(self._beginning_p_unsafe, p_unsafe)
        if self._is_unsafe(self._verdict):
            self._go_on_without_draft()
            return
        self._end(Outcome.DIRECT)

    def _go_on_without_draft(self) -> None:
        config = self._ecso_config
        self._kept_draft = self._draft
        if not self._has_image:
            self._ask_safely()
            return
        prompts = (caption_prompt(config, self._query),)
        self._move_to(
            _State.CAPTION, ImageAsk(Step.CAPTION, prompts, config.caption_max_new_tokens)
        )

    def _after_caption(self, reply: StepReply) -> None:
        self._caption = reply.texts[0]
        self._ask_safely()

    def _ask_safely(self) -> None:
        config = self._ecso_config
        kind = ImageAsk if self._has_image and config.image_in_safe_step else TextAsk
        prompts = (safe_prompt(config, self._query, self._caption),)
        self._move_to(_State.SAFE, kind(Step.SAFE, prompts, config.safe_max_new_tokens))

    def _after_safe(self, reply: StepReply) -> None:
        if not self.safe_answer_is_judged:
            self._end(Outcome.SAFE)
            return
        # The safe answer was written with eyes closed and is judged so: an image that misled the
        # draft gets no second chance to mislead the judge.
        answer = JudgedAnswer(
            reply.texts[0], earlier=self._earlier_answers, can_run_on=self._can_run_on
        )
        self._move_to(_State.RECHECK, self._detect_ask(answer, sees_images=False))

    def _after_recheck(self, reply: StepReply) -> None:
        self._safe_answer_verdict, _ = self._judge(reply)
        unsafe = self._is_unsafe(self._safe_answer_verdict)
        self._end(Outcome.REFUSAL if unsafe else Outcome.SAFE)

    _AFTER = {
        _State.DIRECT: _after_direct,
        _State.DETECT: _after_detect,
        _State.CAPTION: _after_caption,
        _State.SAFE: _after_safe,
        _State.RECHECK: _after_recheck,
    }

    def _move_to(self, state: _State, ask: PromptAsk | None) -> None:
        # The ask that was answered goes: it may have quoted a draft.
        self._state, self.ask = state, ask

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._draft = None
        self._move_to(_State.DONE, None)

    def _judge(self, reply: StepReply) -> tuple[Verdict, float | None]:
        """Return the verdict over all windows, and the highest p(unsafe) that is known."""
        verdict = verdict_on_windows(reply.texts, reply.p_unsafe, self._ecso_config)
        return verdict, _highest(*reply.p_unsafe)

    def _is_unsafe(self, verdict: Verdict) -> bool:
        if verdict is Verdict.UNCLEAR:
            return self._ecso_config.unclear_is_unsafe
        return verdict is Verdict.UNSAFE

    def _ask_about_draft(self, draft: str, thought: str) -> PromptAsk:
        config = self._ecso_config
        answer = JudgedAnswer(draft, self._begun, self._earlier_answers, self._can_run_on, thought)
        ask = self._detect_ask(answer, sees_images=self._has_image)
        if config.follow_up_prompt is not None and len(ask.prompts) == 1 and not self._begun:
            return FollowUpAsk(
                Step.DETECT, (config.follow_up_prompt,), config.detect_max_new_tokens
            )
        return ask

    def _detect_ask(
        self, answer: JudgedAnswer, sees_images: bool, in_short_windows: bool = True
    ) -> PromptAsk:
        kind = ImageAsk if sees_images else TextAsk
        prompts = detect_prompts(self._ecso_config, self._query, answer, in_short_windows)
        return kind(Step.DETECT, prompts, self._ecso_config.detect_max_new_tokens)


def _highest(*p_unsafe: float | None) -> float | None:
    """Return the highest of what is known; None where nothing is."""
    return max((p for p in p_unsafe if p is not None), default=None)
