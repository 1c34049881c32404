"""The verdicts of one run, asked of a model server: no prompt twice, as text where need be.

Covered: a window that was judged while the draft was being written is not asked about again at its
end, nor one that stands in an answer twice; a server that gives log-probabilities no longer is
asked for words.
Not covered: what the replies mean; that is the protocol's.
"""

import time
from dataclasses import replace

from ..events_ecso import FollowUpAsk, PromptAsk, StepReply
from ..settings_ecso import ECSOConfig
from .model_server import Completion
from .step_calls import StepCalls, TooManyPrompts, reply_of


class VerdictCalls:
    """Asks for verdicts. Has no repr: it keeps prompts, which quote a draft, until told to forget.

    Args:
        calls: Asks the model server; it has probed what that does.
        ecso_config: The run's own; its ``verdict_rule`` becomes ``normalized`` where it wants
            log-probabilities and there are none.
    """

    def __init__(self, calls: StepCalls, ecso_config: ECSOConfig):
        """Prepare; nothing is asked yet."""
        self._calls = calls
        self._config = ecso_config
        self._known: dict[tuple[type[PromptAsk], str], Completion] = {}
        if not calls.traits.gives_logprobs:
            self._do_without_logprobs()

    async def reply(self, ask: PromptAsk, draft: str = "") -> StepReply:
        """Return what the model says to the prompts of a detect step.

        Args:
            ask: What is asked.
            draft: The draft, or its beginning, that a follow-up question stands after.

        Raises:
            TooManyPrompts: There are more than may be asked.
            ModelServerError: A prompt was not answered.
            Interrupted: A call was to end with what is no `Exception`.
            ExceptionGroup: Of these, where there are several prompts.
        """
        if len(ask.prompts) > self._calls.max_prompts:
            raise TooManyPrompts
        started, tokens = time.perf_counter(), 0
        while True:
            as_text = self._calls.reads_verdicts_as_text
            # The follow-up question is the same whatever it stands after.
            known = {} if isinstance(ask, FollowUpAsk) else self._known
            new = [one for one in dict.fromkeys(ask.prompts) if (type(ask), one) not in known]
            said = await self._calls.ask(replace(ask, prompts=tuple(new)), draft) if new else []
            tokens += sum(completion.tokens for completion in said)
            if not all(completion.has_logprobs for completion in said):
                self._do_without_logprobs()
            if as_text is self._calls.reads_verdicts_as_text:
                break
            # It changed meanwhile: what was said had no room for words.
        known.update(((type(ask), one), each) for one, each in zip(new, said, strict=True))
        completions = [known[type(ask), one] for one in ask.prompts]
        return reply_of(completions, tokens, (time.perf_counter() - started) * 1000)

    def forget(self) -> None:
        """Let go of all prompts and replies."""
        self._known.clear()

    def _do_without_logprobs(self) -> None:
        if self._config.verdict_rule != "logits":
            return
        self._config.verdict_rule = "normalized"
        self._calls.reads_verdicts_as_text = True
        self.forget()
