"""What a model server and its model do, found out by asking: a few tokens once.

Covered: log-probabilities; whether the model thinks before it answers, where the thought comes,
and which of the known switches keeps it from thinking; a thought in the content that only its end
tells from an answer, as long as the steps have room for.
Not covered: models that think about some questions and not about the one asked here; what they
think is found when it comes, see `step_calls`. A model that says neither yes nor no and shows no
thought is asked once at length, and then used as one that does not think: the log says so.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ..verdict_ecso import Verdict, read_normalized
from .logprobs import TOP_LOGPROBS
from .model_server import THOUGHT_TOKENS, Completion, Fault, ModelServerError, ServerTraits
from .thought import IN_CONTENT


logger = logging.getLogger(__name__)

# What it answers does not matter, only that a model that does not think says yes or no at once.
QUESTION = ({"role": "user", "content": "Is the sky blue? Answer yes or no:"},)
LOGPROBS = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
# How servers refuse a field that they do not know, or a number above their limit.
REFUSALS = (400, 422)
# Enough to see that a thought begins in a field of its own.
_FEW_TOKENS = 8
# For a thought to end, which may be all that tells it from an answer: a short one, which most
# servers have room for, and the longest that the steps have room for.
_MANY_TOKENS = (512, THOUGHT_TOKENS + _FEW_TOKENS)
# How a model is told not to think: Qwen, GLM and others; DeepSeek, Granite; OpenAI's own word.
_SWITCHES: tuple[dict[str, Any], ...] = (
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"chat_template_kwargs": {"thinking": False}},
    {"reasoning_effort": "none"},
)
# From the fields of a request that asks `QUESTION` to the answer.
AskProbe = Callable[[dict[str, Any]], Awaitable[Completion]]


async def learn_traits(ask: AskProbe) -> ServerTraits:
    """Return what a server does. Asks once where the model says yes or no at once.

    Args:
        ask: Asks the question, with further fields.

    Raises:
        ModelServerError: The server does not answer, for a reason other than a field.
    """
    traits = await _probed(ask)
    if not traits.gives_logprobs:
        logger.warning(
            "the model server gives no log-probabilities of tokens written as text; verdicts "
            "that would be read from them are read as text"
        )
    if traits.thought_field:
        how = (
            f"they get {THOUGHT_TOKENS} tokens more for it, since nothing switches it off"
            if traits.always_thinks
            else f"they are asked with {traits.thought_off}"
        )
        logger.warning(
            "the model thinks before it answers (%s); steps 2 to 4 need no thought: %s",
            traits.thought_field,
            how,
        )
    return traits


async def _probed(ask: AskProbe) -> ServerTraits:
    few = {"max_tokens": _FEW_TOKENS, "temperature": 0}
    first = await _asked(ask, few | LOGPROBS) or await _asked(ask, few)
    if first is not None and _answers_at_once(first):
        return ServerTraits(first.has_logprobs)
    field = first.thought_field if first is not None else None
    for switch in _SWITCHES:
        for further in (LOGPROBS, {}):
            said = await _asked(ask, few | switch | further)
            if said is not None and _answers_at_once(said):
                # Without a mark or a field of its own, what it said before stood in the content.
                return ServerTraits(said.has_logprobs, field or IN_CONTENT, switch)
            if said is not None:
                break
    field = field or await _field_of_long_thought(ask)
    if field is not None:
        # Log-probabilities would be those of the thought.
        return ServerTraits(False, field, always_thinks=True)
    logger.warning(
        "the model was asked for yes or no and said neither at once, nor did a thought of it end "
        "within %d tokens; answers that it cannot judge are treated as unjudged",
        _MANY_TOKENS[-1],
    )
    return ServerTraits(first is not None and first.has_logprobs)


async def _field_of_long_thought(ask: AskProbe) -> str | None:
    """Return where a thought comes that a few tokens do not show; None: none was seen."""
    for tokens in _MANY_TOKENS:
        said = await _asked(ask, {"max_tokens": tokens, "temperature": 0}, may_be_late=True)
        if said is None or said.thought_field or said.finish_reason != "length":
            return said.thought_field if said is not None else None
    return None


def _answers_at_once(said: Completion) -> bool:
    """Return whether a verdict can be read from it, as text or from the log-probabilities."""
    says = said.p_unsafe is not None or read_normalized(said.text) is not Verdict.UNCLEAR
    return says and not said.thought


async def _asked(
    ask: AskProbe, fields: dict[str, Any], may_be_late: bool = False
) -> Completion | None:
    """Return the answer; None where a field is refused, or nothing was said."""
    try:
        return await ask(fields)
    except ModelServerError as error:
        is_late = may_be_late and error.fault is Fault.TIMEOUT
        if error.status not in REFUSALS and error.fault is not Fault.EMPTY and not is_late:
            raise
    return None
