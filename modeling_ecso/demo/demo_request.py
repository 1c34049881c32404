"""What a visitor asks: the form of the page, read and validated."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors_ecso import ECSOInputError
from ..settings_ecso import ECSOConfig


# The prompts that can be edited on the page, in the order of its fields.
PROMPTS = ("detect_prompt", "caption_prompt", "safe_prompt", "text_only_safe_prompt")

# The page keeps to these as well; whoever asks by a program does not go through the page.
LONGEST_QUERY_CHARS = 8000
LONGEST_PROMPT_CHARS = 4000
MOST_NEW_TOKENS = 1024
HIGHEST_TEMPERATURE = 2


class DemoForm(NamedTuple):
    """The fields of the page, as the browser sends them."""

    model: str | None
    image: str | None
    query: str
    shows_withheld: bool
    flows: bool
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
        ecso_config: ``keep_draft`` and ``keep_caption`` in it are the "show withheld texts"
            switch, ``stream`` the one for text that flows.
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
        ECSOInputError: There is no query, a text is too long, a number is out of range, or a
            prompt lacks a placeholder or has one too many.
    """
    _check_text("query", form.query, LONGEST_QUERY_CHARS)
    if not form.query.strip():
        raise ECSOInputError("there is no query yet; write one, or take one of the examples")
    _check_text("preset", form.preset, LONGEST_PROMPT_CHARS)
    for name in PROMPTS:
        _check_text(name, getattr(form, name), LONGEST_PROMPT_CHARS)
    if form.image is not None:
        _check_text("image", form.image, LONGEST_PROMPT_CHARS)
    _check_number("the temperature", form.temperature, 0, HIGHEST_TEMPERATURE)
    _check_number("top-p", form.top_p, 0.01, 1)
    _check_number("the token limit", form.max_new_tokens, 1, MOST_NEW_TOKENS)
    changes = {name: getattr(form, name) for name in PROMPTS}
    shows = bool(form.shows_withheld)
    changes |= {"enabled": True, "keep_draft": shows, "keep_caption": shows}
    ecso_config = config_of_preset(form.preset, stored)
    # Where a preset judges the head of an answer alone, nothing can be shown before the end.
    flows = bool(form.flows) and ecso_config.draft_view == "windows"
    changes["stream"] = "windows" if flows else "verdict"
    return DemoRequest(
        query=form.query,
        image=form.image,
        ecso_config=ecso_config.updated(changes),
        temperature=form.temperature,
        top_p=form.top_p,
        max_new_tokens=int(form.max_new_tokens),
    )


def _check_text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str):
        raise ECSOInputError(f"the {name} is no text; write one")
    if len(value) > longest:
        raise ECSOInputError(
            f"the {name} has {len(value)} characters; shorten it to {longest} at most"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ECSOInputError(f"the {name} holds half a character (a lone surrogate); take it out")


def _check_number(name: str, value: Any, least: float, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise ECSOInputError(f"{name} is {value!r:.40}; give a number from {least} to {most}")


def config_of_preset(preset: str, stored: ECSOConfig) -> ECSOConfig:
    """Return what a preset stands for on a model: its own settings where they have that name.

    Raises:
        ECSOConfigError: There is no such preset.
    """
    return stored if preset == stored.preset else ECSOConfig.from_preset(preset)
