"""What a visitor asks: the form of the page, read and validated."""

from dataclasses import dataclass
from typing import NamedTuple

from ..errors_ecso import ECSOInputError
from ..settings_ecso import ECSOConfig


# The prompts that can be edited on the page, in the order of its fields.
PROMPTS = ("detect_prompt", "caption_prompt", "safe_prompt", "text_only_safe_prompt")


class DemoForm(NamedTuple):
    """The fields of the page, as the browser sends them."""

    model: str | None
    image: str | None
    query: str
    shows_draft: bool
    temperature: float
    top_p: float
    max_new_tokens: int
    preset: str
    detect_prompt: str
    caption_prompt: str
    safe_prompt: str
    text_only_safe_prompt: str


@dataclass(frozen=True, repr=False)
class DemoRequest:
    """What is asked, and how. Has no repr: it holds the visitor's text.

    Args:
        query: The query.
        image: File of the image; None: text alone.
        ecso_config: ``keep_draft`` in it is the "show the draft" switch.
        temperature: Of the answer; 0: greedy.
        top_p: Of the answer, in (0, 1]; without effect on a greedy one.
        max_new_tokens: Token limit of the answer.
    """

    query: str
    image: str | None
    ecso_config: ECSOConfig
    temperature: float
    top_p: float
    max_new_tokens: int


def read_request(form: DemoForm, stored: ECSOConfig) -> DemoRequest:
    """Return what a form asks.

    Args:
        form: The fields of the page.
        stored: The settings the chosen model stores; they stand in for their own preset.

    Raises:
        ECSOInputError: There is no query, a number is out of range, or a prompt lacks a
            placeholder or has one too many.
    """
    if not form.query.strip():
        raise ECSOInputError("there is no query yet; write one, or take one of the examples")
    if not 0 <= form.temperature <= 2:
        raise ECSOInputError(f"the temperature is {form.temperature}; give a number from 0 to 2")
    if not 0 < form.top_p <= 1:
        raise ECSOInputError(f"top-p is {form.top_p}; give a number above 0, at most 1")
    if form.max_new_tokens < 1:
        raise ECSOInputError(f"the token limit is {form.max_new_tokens}; give a number from 1")
    changes = {name: getattr(form, name) for name in PROMPTS}
    changes |= {"enabled": True, "keep_draft": bool(form.shows_draft)}
    return DemoRequest(
        query=form.query,
        image=form.image,
        ecso_config=config_of_preset(form.preset, stored).updated(changes),
        temperature=form.temperature,
        top_p=form.top_p,
        max_new_tokens=int(form.max_new_tokens),
    )


def config_of_preset(preset: str, stored: ECSOConfig) -> ECSOConfig:
    """Return what a preset stands for on a model: its own settings where they have that name.

    Raises:
        ECSOConfigError: There is no such preset.
    """
    return stored if preset == stored.preset else ECSOConfig.from_preset(preset)
