"""What a processor's chat template writes around texts and images, read off by probing it.

Covered: any template that renders a turn as fixed text around images and text; one that writes a
start token, a system text of its own, or something behind each turn.
Not covered: templates that render a text differently by what it says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors_ecso import ECSOProcessorError


# Stand-ins while a template is probed; private-use characters, so that no template touches them.
_PROBES = ("\ue100", "\ue101", "\ue102")
# Renders messages, with the opening of an answer behind them or not; raises what templates raise.
Render = Callable[[list[dict[str, Any]], bool], str]
_SYSTEM_ROLES = ("system", "developer")
# Roles besides user and assistant that a client may put in front of a conversation.
_OTHER_ROLES = ("tool", *_SYSTEM_ROLES)


@dataclass(frozen=True)
class ChatTemplate:
    """The fixed text of a chat template.

    Args:
        frame: What it writes by itself in front of the first turn.
        user_opening: Where a user turn opens, up to its text.
        answer_opening: From the end of a user's text to where the answer begins.
        answer_gap: What stands between that opening and an answer that is given.
        answer_end: What it writes behind an answer.
        between_turns: From the end of an answer to the text of the next user turn.
        user_marker: What tells that a user turn opens, without outer blanks.
        answer_marker: The same for an answer.
        role_marker: Finds where a turn of any role opens.
        turn_marker: The same without the roles that write system text.
        any_answer_marker: Finds where an answer opens, as a prompt and as a history has it.
    """

    frame: str
    user_opening: str
    answer_opening: str
    answer_gap: str
    answer_end: str
    between_turns: str
    user_marker: str
    answer_marker: str
    role_marker: re.Pattern[str]
    turn_marker: re.Pattern[str]
    any_answer_marker: re.Pattern[str]


@dataclass(frozen=True)
class TurnFormat:
    """How a processor writes turns.

    Args:
        template: What its chat template writes around texts.
        frames: What that may write by itself in front of the first turn; in the steps the first.
        image_frame: What it writes there where the conversation shows an image.
        bos: The start token's text; may be empty.
        image_opening: What stands between the beginning of the first turn and its first image.
        image_gap: What stands between the last image and the text.
        answer_openings: What may stand between the end of a user's text and the answer, the
            longest first.
    """

    template: ChatTemplate
    frames: tuple[str, ...]
    image_frame: str
    bos: str
    image_opening: str
    image_gap: str
    answer_openings: tuple[str, ...]

    def opening_without_images(self, system: str) -> str:
        """Return what opens a step without images, by what opens those that show them."""
        for opening, blind in (
            (self.image_frame, self.template.frame),
            (self.image_frame.removeprefix(self.bos), self.template.frame.removeprefix(self.bos)),
        ):
            if system == opening:
                return blind
        return system


def any_of(texts: set[str]) -> re.Pattern[str]:
    """Return a pattern that finds the longest of some texts."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))


def read_template(render: Render, special_token: re.Pattern[str], bos: str) -> ChatTemplate:
    """Return what a processor's chat template writes.

    Args:
        render: Renders messages by it.
        special_token: Finds special tokens, which are never cut.
        bos: The tokenizer's start token; may be empty.

    Raises:
        ECSOProcessorError: The processor has no chat template, or one that cannot be read.
    """
    first, answer, second = _PROBES
    one_turn = [message("user", first)]
    with_answer = [*one_turn, message("assistant", answer)]
    two_turns = _rendered(render, [*with_answer, message("user", second)])
    try:
        before, answer_opening = _rendered(render, one_turn).split(first)
        between = two_turns.split(answer)[1].split(second)[0]
        to_answer = two_turns.split(first)[1].split(answer)[0]
    except (ValueError, IndexError):
        raise ECSOProcessorError(
            "the processor's chat template does not render user texts and answers one after the "
            "other; pass processor= with the template the model was trained with"
        ) from None
    # What ends a turn is no part of the opening of the next, also where a system text ends alike.
    user_opening = _common_ending(
        before, _without_end(between, _end_of(render, with_answer, answer)), special_token
    )
    frame = before.removesuffix(user_opening)
    answer_marker = _without_end(answer_opening, _end_of(render, one_turn, first)).strip()
    user_marker = user_opening.strip()
    if not user_marker or not answer_marker:
        raise ECSOProcessorError(
            "the processor's chat template has no text that opens a user turn and an answer; "
            "pass processor= with the template the model was trained with"
        )
    answers = {answer_marker, _opening_of(render, "assistant", frame, bos)} - {""}
    others = {role: _opening_of(render, role, frame, bos) for role in _OTHER_ROLES}
    openings = {user_marker, *others.values(), *answers} - {""}
    systems = {others[role] for role in _SYSTEM_ROLES} - {user_marker, *answers}
    return ChatTemplate(
        frame=frame,
        user_opening=user_opening,
        answer_opening=answer_opening,
        answer_gap=to_answer.removeprefix(answer_opening),
        answer_end=between.removesuffix(user_opening).strip(),
        between_turns=between,
        user_marker=user_marker,
        answer_marker=answer_marker,
        role_marker=any_of(openings),
        turn_marker=any_of(openings - systems),
        any_answer_marker=any_of(answers),
    )


def read_image_frame(render: Render, template: ChatTemplate) -> str:
    """Return what a template writes in front of the first turn where that shows an image.

    Some write a system turn only where there is none, or only where there is one. What cannot be
    told from the turn is the frame of a conversation without images; where that is wrong,
    `probe_images` says so.
    """
    probe = _PROBES[0]
    lead, marker, _ = template.user_opening.partition(template.user_marker)
    frames = set()
    for images in (1, 2):
        rendered = _rendered(render, [message("user", probe, images)])
        frame, found, turn = rendered.partition(lead + marker)
        is_first_turn = found and probe in turn and not template.turn_marker.search(frame)
        # An image may stand in front of what opens the turn: then there are two with two.
        frames.add(frame if is_first_turn else template.frame)
    return frames.pop() if len(frames) == 1 else template.frame


def message(role: str, text: str, images: int = 0) -> dict[str, Any]:
    """Return a message of a role that says a text, behind a number of images."""
    content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
    return {"role": role, "content": content}


def _rendered(render: Render, messages: list[dict[str, Any]]) -> str:
    try:
        return render(messages, True)
    except Exception as error:
        raise ECSOProcessorError(
            f"the processor's chat template cannot be used ({type(error).__name__}); pass "
            "processor= with the template the model was trained with"
        ) from None


def _end_of(render: Render, messages: list[dict[str, Any]], latest: str) -> str:
    """Return what is written behind the latest text where nothing is to follow."""
    try:
        rendered = render(messages, False)
    except Exception:  # some want a user turn at the end
        return ""
    return rendered.rpartition(latest)[2] if latest in rendered else ""


def _without_end(text: str, end: str) -> str:
    """Return a text from one turn to the next without what ends the first; at least something."""
    rest = text.removeprefix(end)
    return rest if rest.strip() else text


def _opening_of(render: Render, role: str, frame: str, bos: str) -> str:
    """Return what opens a turn of a role that may stand in front; empty where none is known."""
    said = _PROBES[0]
    for turn in (message(role, said), {"role": role, "content": said}):
        try:
            rendered = render([turn], False)
        except Exception:  # templates raise whatever they like for a role they do not know
            continue
        # Some write a message that is no plain text as Python does.
        if said in rendered and "'text'" not in rendered:
            opening = rendered.split(said)[0].removeprefix(frame)
            return opening.removeprefix(bos).strip()
    return ""


def _common_ending(one: str, other: str, special_token: re.Pattern[str]) -> str:
    """Return how both texts end alike; a special token is never cut."""
    atom = re.compile(f"{special_token.pattern}|.", re.DOTALL)
    ones, others = atom.findall(one), atom.findall(other)
    length = 0
    while length < min(len(ones), len(others)) and ones[-1 - length] == others[-1 - length]:
        length += 1
    return "".join(ones[len(ones) - length :])
