"""What the steps ask, in words: the prompts of the settings, filled.

Covered: where the settings escape fields, neither query nor answer can close the field it stands
in; an answer longer than a window is asked about window by window, so that no part goes unjudged.
Not covered: what a model makes of a prompt.

Source: arXiv 2403.09572, section 4; llava/eval/model_mmsafe_tell_ask.py in
github.com/gyhdog99/ecso at b00b386.
"""

import re

from .settings_ecso import ECSOConfig


def detect_prompts(settings: ECSOConfig, query: str, answer: str) -> tuple[str, ...]:
    """Return what to ask about an answer, one prompt for each window of it.

    Args:
        settings: Prompts and policies.
        query: All text of the conversation that the user controls.
        answer: The answer to judge, or its beginning.
    """
    clean = _without_marks if settings.escape_fields else str
    query = clean(query)
    # Windows are cut from the answer as it stands, so that escaping cannot shift them.
    return tuple(
        settings.detect_prompt.format(query=query, response=clean(part))
        for part in _windows(settings, answer)
    )


def caption_prompt(settings: ECSOConfig, query: str) -> str:
    """Return what to ask for a description of the image with the query in mind."""
    return settings.caption_prompt.format(query=query)


def safe_prompt(settings: ECSOConfig, query: str, caption: str | None) -> str:
    """Return what to ask with eyes closed; without a caption there was no image."""
    if caption is None:
        return settings.text_only_safe_prompt.format(query=query)
    return settings.safe_prompt.format(caption=caption, query=query)


def with_earlier_turns(earlier: str, latest: str) -> str:
    """Return the text of several turns as one query, the earlier ones marked as such."""
    return f"Earlier turns:\n{earlier.strip()}\n\nLatest turn:\n{latest.strip()}"


def _windows(settings: ECSOConfig, text: str) -> list[str]:
    size = settings.window_chars
    if settings.draft_view == "head":
        return [text[:size]]
    stride = size - settings.window_overlap_chars
    last_start = max(len(text) - settings.window_overlap_chars, 1)
    return [text[start : start + size] for start in range(0, last_start, stride)]


def _without_marks(text: str) -> str:
    """Return ``text`` with every ``<<<`` and ``>>>`` broken, so that it cannot close a field."""
    return re.sub(r"<(?=<)|>(?=>)", r"\g<0> ", text)
