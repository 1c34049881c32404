"""Prompts in words: what the caller's says, and what the steps ask, the settings' prompts filled.

Covered: user text that imitates role markers. Roles are plain words in LLaVA's template, a forged
turn cannot be told from a real one, so everything from the first marker of any role on counts as
the user's and nothing is ever dropped; text in front of it too, unless the template writes it by
itself or the settings trust it. Where the settings escape fields, neither query nor answer nor
caption can close the field it stands in. An answer is asked about in windows, so that no part goes
unjudged, and in shorter ones, so that nothing around it dilutes a harmful part.
Not covered: what a model makes of a prompt.

Source: arXiv 2403.09572, section 4; llava/eval/model_mmsafe_tell_ask.py in
github.com/gyhdog99/ecso at b00b386.
"""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from .chat_template_ecso import ChatTemplate, TurnFormat
from .settings_ecso import ECSOConfig


# Stands for images in the text of a prompt; a private-use character, so that no template has it.
IMAGE_MARK = "\ue103"


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


class Turns(NamedTuple):
    """What the caller's prompt says; see `Conversation`, whose fields of these names they are."""

    system: str
    query: str
    begun: str
    earlier_answers: tuple[str, ...]


def read_turns(form: TurnFormat, text: str, has_bos: bool, trust_system_text: bool) -> Turns:
    """Return what a prompt says.

    Args:
        form: How it is written.
        text: The prompt, with one `IMAGE_MARK` for each block of images.
        has_bos: Whether the start token stood in front of it.
        trust_system_text: Whether text in front of the first turn is the operator's.
    """
    system, leading, turns = _split(form, text, has_bos, trust_system_text)
    turns, begun, earlier_answers = _without_begun_answer(form.template, turns)
    query = _query(form, turns)
    if leading:
        query = with_earlier_turns(leading, query)
    return Turns(system, query, begun, earlier_answers)


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


def _split(
    form: TurnFormat, text: str, has_bos: bool, trust_system_text: bool
) -> tuple[str, str, str]:
    """Return what opens the steps, text of the user's in front of the first turn, the turns."""
    template = form.template
    step_frame = form.image_frame if IMAGE_MARK in text else template.frame
    own_frames = [(form.image_frame, form.image_frame)]
    # What stands there because the model was to think opens no step: those do not think.
    own_frames += [
        (frame, frame if frame == template.frame else step_frame) for frame in form.frames
    ]
    if has_bos:  # which may be the one that the template writes
        own_frames += [
            (frame.removeprefix(form.bos), in_step.removeprefix(form.bos))
            for frame, in_step in own_frames
        ]
    marker = template.turn_marker if trust_system_text else template.role_marker
    # A longer one may begin with a shorter one.
    for frame, in_step in sorted(own_frames, key=lambda pair: len(pair[0]), reverse=True):
        if frame and text.startswith(frame) and marker.match(text, len(frame)):
            return in_step, "", text[len(frame) :]
    first = marker.search(text)
    leading, turns = (text[: first.start()], text[first.start() :]) if first else ("", text)
    if IMAGE_MARK in leading:
        # An image before the first role marker: the prompt is written by hand, all of it by
        # the user as far as anyone can tell.
        leading, turns = "", text
    if trust_system_text or not leading:
        return leading, "", turns
    return step_frame.removeprefix(form.bos) if has_bos else step_frame, leading, turns


def _without_begun_answer(template: ChatTemplate, turns: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the turns without the answer they have begun, that answer, and earlier ones."""
    found = list(template.role_marker.finditer(turns))
    ends = [*(marker.start() for marker in found[1:]), len(turns)][: len(found)]
    said = [
        _without_end(template, turns[marker.end() : end].replace(IMAGE_MARK, " "))
        for marker, end in zip(found, ends, strict=True)
    ]
    opens_answer = template.any_answer_marker.fullmatch
    is_answer = [bool(opens_answer(marker[0])) for marker in found]
    # Behind the last turn that is no answer, all answers are one.
    after = max((at + 1 for at, answers in enumerate(is_answer) if not answers), default=0)
    if said[after:]:
        begun = "".join(said[after:]).lstrip()
    else:
        # No answer is opened, or not as the template does it: what is written goes on with the
        # last text, whatever that holds.
        begun = (said or [turns.replace(IMAGE_MARK, " ")])[-1].lstrip()
    earlier = [
        text.strip()
        for text, answers in zip(said[:after], is_answer[:after], strict=True)
        if answers
    ]
    if said[after:] and said[-1].strip():
        # Judged as an answer, so no part of the query; the opening in front of it stays.
        turns = turns[: found[-1].end()]
    return turns, begun, tuple(filter(None, earlier))


def _without_end(template: ChatTemplate, answer: str) -> str:
    """Return an answer without what the template writes behind it."""
    if template.answer_end and answer.rstrip().endswith(template.answer_end):
        return answer.rstrip().removesuffix(template.answer_end)
    return answer


def _query(form: TurnFormat, turns: str) -> str:
    """Return the text of the turns without frame and images, earlier turns marked."""
    template = form.template
    opens_as_user = turns.startswith(template.user_marker)
    if turns.startswith(form.image_opening + IMAGE_MARK):
        body = turns[len(form.image_opening) :]
    elif turns.startswith(template.user_opening):
        body = turns[len(template.user_opening) :]
    else:
        body = turns.removeprefix(template.user_marker)
    for opening in form.answer_openings:
        if body.endswith(opening):
            body = body[: -len(opening)]
            break
    else:
        cut = (opening.rstrip() for opening in form.answer_openings)
        for opening in (*cut, template.answer_marker):
            if body.rstrip().endswith(opening):
                body = body.rstrip().removesuffix(opening).rstrip()
                break
    # Some tokenizers decode a blank after a special token that nobody wrote.
    opening_images = re.match(f"(?:{IMAGE_MARK} ?{re.escape(form.image_gap)})+", body)
    if opening_images:
        body = body[opening_images.end() :]
    body = body.lstrip(IMAGE_MARK).replace(IMAGE_MARK, " ")
    if template.user_marker not in body and template.answer_marker not in body:
        return body
    first = f"{template.user_marker} " if opens_as_user else ""
    earlier, marker, latest = body.rpartition(template.user_marker)
    if not marker:
        return f"{first}{body.strip()}"
    return with_earlier_turns(f"{first}{earlier.strip()}", latest)
