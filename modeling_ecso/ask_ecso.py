"""What the protocol asks of a model, and what it is told in reply."""

from dataclasses import dataclass

from .trace_ecso import Step


@dataclass(frozen=True)
class DirectAsk:
    """Answer the conversation as the caller wrote it."""

    step: Step = Step.DIRECT


@dataclass(frozen=True, repr=False)
class PromptAsk:
    """Answer each prompt on its own. Has no repr: a prompt may quote an unsafe draft.

    Args:
        step: The step this belongs to.
        prompts: User turns, one for each reply that is wanted.
        max_new_tokens: Token limit of each reply; None: that of the call.
    """

    step: Step
    prompts: tuple[str, ...]
    max_new_tokens: int | None


class TextAsk(PromptAsk):
    """Answer from text alone; there is no field to put an image in."""


class ImageAsk(PromptAsk):
    """Answer with the images of the conversation in view."""


class FollowUpAsk(PromptAsk):
    """Answer a further turn of the conversation, after the draft as the model wrote it."""


Ask = DirectAsk | TextAsk | ImageAsk | FollowUpAsk


@dataclass(frozen=True, repr=False)
class Reply:
    """What the model said to an `Ask`. Has no repr: a reply may be an unsafe draft.

    Args:
        texts: One text for each prompt asked, decoded and stripped.
        tokens: Number of tokens generated, over all texts.
        milliseconds: Wall time of the step; rows that share a batch share its time.
        p_unsafe: For the detect step, p(unsafe) for each prompt, None where it is not known.
    """

    texts: tuple[str, ...]
    tokens: int = 0
    milliseconds: float = 0.0
    p_unsafe: tuple[float | None, ...] = ()
