"""Asks a judge about an answer: the model that plays the role ``grader``, or rules.

The judge is always named: `model_judge` insists that somebody was given the role, so that the
evaluated model can never slip into it, and the name is kept with every finding.
"""

from dataclasses import dataclass

from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, get_model

from .judge_prompts import JudgePrompt


RULES = "rules"
MODEL = "model"
ROLE = "grader"
# A grade that cannot be read is asked for again with a reminder, from the third try on warmer each
# time, as the official grader does.
_GRADE_TRIES = 5
_REMINDER = "\nThe grade alone, as a number from 0.0 to 1.0: "


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
    prompt: JudgePrompt, temperature: float = 0.0, reminder: str = "", **fields: str
) -> JudgeReply:
    """Ask the judge once.

    Args:
        prompt: What to ask.
        temperature: 0 for a finding that can be repeated.
        reminder: Put behind the prompt.
        **fields: The prompt's fields.
    """
    judge = model_judge()
    turns = [ChatMessageUser(content=prompt.filled(**fields) + reminder)]
    if prompt.system:
        turns = [ChatMessageSystem(content=prompt.system), *turns]
    output = await judge.generate(turns, config=GenerateConfig(temperature=temperature))
    return JudgeReply(str(judge), output.completion)


async def ask_for_grade(prompt: JudgePrompt, **fields: str) -> JudgeReply:
    """Ask for a grade, again while there is none to read."""
    from .judgments import read_grade

    reply = await ask_judge(prompt, **fields)
    for tries in range(2, _GRADE_TRIES + 1):
        if read_grade(reply.text).grade is not None:
            break
        warmth = 0.5 * (tries - 2)
        again = await ask_judge(prompt, temperature=warmth, reminder=_REMINDER, **fields)
        reply = JudgeReply(again.judge, again.text, tries)
    return reply
