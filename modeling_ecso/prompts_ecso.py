"""What the steps ask, in words: the prompts of the settings, filled.

Covered: where the settings escape fields, neither query nor answer nor caption can close the field
it stands in. An answer is asked about in windows, so that no part goes unjudged, and in shorter
ones, so that nothing around it dilutes a harmful part.
Not covered: what a model makes of a prompt.

Source: arXiv 2403.09572, section 4; llava/eval/model_mmsafe_tell_ask.py in
github.com/gyhdog99/ecso at b00b386.
"""

import re
from dataclasses import dataclass, replace

from .settings_ecso import ECSOConfig


# Each size of window is this much shorter than the one before.
_SHORTER = 3

# What may stand for < and > in a look-alike of a mark. A tokenizer that normalises takes the
# full-width and small forms for the plain ones; a model may take the others for them.
_OPENING = "<＜﹤‹«≪⟨〈⟪〈《❮❰ᐸᚲ˂⧼⦑⪡𝈶"
_CLOSING = ">＞﹥›»≫⟩〉⟫〉》❯❱ᐳ𖼿˃⧽⦒⪢𝈷"
# Each looks like a whole mark.
_WHOLE_MARKS = str.maketrans({"⋘": "<<<", "⫷": "<<<", "⋙": ">>>", "⫸": ">>>"})
# Fillers that are letters to Unicode, and not seen.
_FILLERS = "\u115f\u1160\u3164\uffa0"
# Whatever is neither a letter nor a blank may stand between, seen or unseen.
_MARKS = re.compile(
    "|".join(
        f"[{signs}](?=(?:[{_FILLERS}]|[^\\w\\s{signs}])*[{signs}])"
        for signs in (_OPENING, _CLOSING)
    )
)
_QUOTES = re.compile('["“”„‟«»＂″‶ʺ˝״❝❞〝〞〟🙶🙷🙸]')


@dataclass(frozen=True, repr=False)
class JudgedAnswer:
    """An answer and what it belongs to. Has no repr: it may be unsafe.

    Args:
        text: The new text, or its beginning.
        begun: The turn that it goes on with.
        earlier: The earlier answers of the conversation.
        can_run_on: Whether something in the call can keep the answer from ending where the model
            would end it.
        thought: What the model thought before it.
    """

    text: str
    begun: str = ""
    earlier: tuple[str, ...] = ()
    can_run_on: bool = False
    thought: str = ""


def detect_prompts(
    ecso_config: ECSOConfig, query: str, answer: JudgedAnswer, in_short_windows: bool = True
) -> tuple[str, ...]:
    """Return what to ask about an answer, one prompt for each window of it.

    Args:
        ecso_config: Prompts and policies.
        query: All text of the conversation that the user controls.
        answer: What to judge.
        in_short_windows: Whether short windows are worth it.
    """
    clean = _without_marks if ecso_config.escape_fields else str
    query = clean(query)
    # Windows are cut from the answer as it stands, so that escaping cannot shift them.
    parts = _parts(ecso_config, answer, in_short_windows)
    if answer.thought:
        # With the answer, and the answer alone as well: a long thought would dilute it.
        whole = replace(answer, text=f"{answer.thought}\n\n{answer.text}")
        further = _parts(ecso_config, whole, in_short_windows)
        parts = [*parts, *(part for part in further if part not in parts)]
    return tuple(
        ecso_config.detect_prompt.format(query=query, response=clean(part)) for part in parts
    )


def caption_prompt(ecso_config: ECSOConfig, query: str) -> str:
    """Return what to ask for a description of the image with the query in mind."""
    return ecso_config.caption_prompt.format(query=query)


def safe_prompt(ecso_config: ECSOConfig, query: str, caption: str | None) -> str:
    """Return what to ask with eyes closed; without a caption there was no image."""
    if caption is None:
        return ecso_config.text_only_safe_prompt.format(query=query)
    if ecso_config.escape_fields:
        caption = _within_quotes(caption)
    return ecso_config.safe_prompt.format(caption=caption, query=query)


def with_earlier_turns(earlier: str, latest: str) -> str:
    """Return the text of several turns as one query, the earlier ones marked as such."""
    return f"Earlier turns:\n{earlier.strip()}\n\nLatest turn:\n{latest.strip()}"


def _parts(ecso_config: ECSOConfig, answer: JudgedAnswer, in_short_windows: bool) -> list[str]:
    size, overlap = ecso_config.window_chars, ecso_config.window_overlap_chars
    if ecso_config.draft_view == "head":
        return [answer.text[:size]]
    turn = answer.begun + answer.text
    parts = _windows(turn, size, overlap)
    if not in_short_windows:
        return parts
    further = []
    shorter = _shorter_sizes(ecso_config)
    everywhere = answer.can_run_on or bool(answer.begun)
    for short in (short for short in shorter if len(turn) > short):
        if everywhere:
            # Little is left where the shortest cuts through what matters: these lie closer.
            overlap = short // 2 if short > shorter[-1] else short - short // 4
            further += _windows(turn, short, overlap)
        elif ecso_config.short_windows == "always":
            further.append(turn[:short])
    if everywhere and shorter:
        further += [turn[at : at + shorter[-1]] for at in _sentence_starts(turn)]
    if ecso_config.judge_earlier_answers and answer.earlier:
        earlier = " ".join(answer.earlier) + " "
        for each in (size, *shorter):
            # The seam between what was said and what is new, and all up to the end.
            seam = max(len(earlier) - each // 2, 0)
            further += [(earlier + turn)[seam : seam + each], (earlier + turn)[-each:]]
    return [*parts, *dict.fromkeys(part for part in further if part not in parts)]


def _shorter_sizes(ecso_config: ECSOConfig) -> list[int]:
    """Return the sizes of short windows, the shortest last."""
    if ecso_config.short_windows == "never":
        return []
    sizes, shortest = [], ecso_config.shortest_window_chars
    size = ecso_config.window_chars // _SHORTER
    while size >= 2 * shortest:
        sizes.append(size)
        size //= _SHORTER
    return [*sizes, shortest] if shortest < ecso_config.window_chars else sizes


def _sentence_starts(text: str) -> list[int]:
    """Return where a sentence begins, or may begin where garbage hides the end of the last one."""
    return [mark.end() for mark in re.finditer(r"[.!?:;\n]\s+(?=\S)|\s(?=[A-Z])", text)]


def _windows(text: str, size: int, overlap: int) -> list[str]:
    last_start = max(len(text) - overlap, 1)
    return [text[start : start + size] for start in range(0, last_start, size - overlap)]


def _without_marks(text: str) -> str:
    """Return ``text`` with every ``<<<`` and ``>>>`` broken, so that it cannot close a field."""
    return _MARKS.sub(r"\g<0> ", text.translate(_WHOLE_MARKS))


def _within_quotes(text: str) -> str:
    """Return a text that cannot end a quotation: on one line, without its own double quotes."""
    one_line = " ".join(text.split())
    return _without_marks(_QUOTES.sub("'", one_line))
