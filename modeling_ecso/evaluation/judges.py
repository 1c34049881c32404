"""Asks a judge about an answer: the model that plays the role ``grader``.

The judge is always named: `model_judge` insists that somebody was given the role, so that the
evaluated model can never slip into it, and the name is kept with every finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    Content,
    ContentImage,
    ContentText,
    GenerateConfig,
    Model,
    get_model,
)

from .scoring import JudgePrompt


RULES = "rules"
MODEL = "model"
ROLE = "grader"


@dataclass(frozen=True)
class JudgeReply:
    """What a judge said.

    Args:
        judge: Its name.
        text: The raw text.
        tries: How often it was asked.
    """

    judge: str
    text: str
    tries: int = 1


def model_judge() -> Model:
    """Return the model that plays the judge.

    Raises:
        PrerequisiteError: Nobody was given the role.
    """
    return get_model(role=ROLE, required=True)


async def ask_judge(
    prompt: JudgePrompt,
    fields: dict[str, str],
    temperature: float = 0.0,
    reminder: str = "",
    images: Sequence[ContentImage] = (),
) -> JudgeReply:
    """Ask the judge once.

    Args:
        prompt: What to ask.
        fields: The prompt's fields.
        temperature: 0 for a finding that can be repeated.
        reminder: Put behind the prompt.
        images: What the judge is shown in front of it.
    """
    judge = model_judge()
    text = prompt.filled(**fields) + reminder
    content: str | list[Content] = [*images, ContentText(text=text)] if images else text
    turns: list[ChatMessage] = [ChatMessageUser(content=content)]
    if prompt.system:
        turns = [ChatMessageSystem(content=prompt.system), *turns]
    output = await judge.generate(turns, config=GenerateConfig(temperature=temperature))
    return JudgeReply(str(judge), output.completion)
