"""A conversation as the chat completions API has it, and the turns that the steps put in its place.

Every turn with images opens with them, whatever else it says, so that a server's prefix cache
meets the same beginning in the first three steps: the images.

Covered: all text that reached the server is judged, earlier turns marked as such, whoever the
sender says has written them. Texts that servers take for special tokens are broken up in the
prompts of the steps, so that neither a query nor a draft can end its turn and open another.
Not covered: special tokens that do not look like one, such as a plain word.
"""

from dataclasses import dataclass
from typing import Any

from ..prompts_ecso import with_earlier_turns
from .special_text import as_plain_text


Message = dict[str, Any]
Part = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Chat:
    """A conversation that is to be answered. Has no repr: it holds the user's text.

    Args:
        messages: The conversation as it is sent in the direct step.
        query: All its text: for one turn exactly the user's, for several the earlier ones marked.
        images: The parts that hold its images, in order.
        frame: Messages that open every step; only such as no user can write.
        earlier_answers: The texts of the assistant's turns, whoever wrote them.
        begun: The text of the last turns, where they are the assistant's and are to go on.
    """

    messages: tuple[Message, ...]
    query: str
    images: tuple[Part, ...]
    frame: tuple[Message, ...] = ()
    earlier_answers: tuple[str, ...] = ()
    begun: str = ""

    @classmethod
    def of_one_turn(cls, text: str, image_urls: tuple[str, ...] = ()) -> "Chat":
        """Return a conversation of a single turn.

        Args:
            text: The query.
            image_urls: Images, as data URIs.
        """
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in image_urls]
        content: str | list[Part] = [*parts, {"type": "text", "text": text}] if parts else text
        return cls.of_messages([{"role": "user", "content": content}])

    @classmethod
    def of_messages(cls, messages: list[Message], trusts_system: bool = False) -> "Chat":
        """Return the conversation in valid messages of the chat completions API.

        Args:
            messages: Their content is a text, or a list of text and image_url parts.
            trusts_system: Whether system messages come from the operator, not from users: then
                they open every step and are not judged. Otherwise they are text of the user's.
        """
        is_frame = [trusts_system and message["role"] == "system" for message in messages]
        turns = [message for message, frames in zip(messages, is_frame, strict=True) if not frames]
        # Behind the last turn that is no answer, all answers are one.
        others = [at for at, turn in enumerate(turns) if turn["role"] != "assistant"]
        after = others[-1] + 1 if others else 0
        return cls(
            messages=tuple(_images_first(message) for message in messages),
            query=_query(turns),
            images=tuple(
                part for turn in turns for part in _parts(turn) if part["type"] == "image_url"
            ),
            frame=tuple(m for m, frames in zip(messages, is_frame, strict=True) if frames),
            earlier_answers=tuple(
                _text(turn) for turn in turns[:after] if turn["role"] == "assistant"
            ),
            begun=" ".join(_text(turn) for turn in turns[after:]),
        )

    def turn_with_images(self, prompt: str) -> list[Message]:
        """Return the messages that ask ``prompt`` with the images in view."""
        if not self.images:
            return self.turn_of_text(prompt)
        content = [*self.images, {"type": "text", "text": as_plain_text(prompt)}]
        return [*self.frame, {"role": "user", "content": content}]

    def turn_after(self, answer: str, prompt: str) -> list[Message]:
        """Return the messages that ask ``prompt`` as a further turn, after an answer."""
        said = {"role": "assistant", "content": as_plain_text(answer)}
        return [*self.messages, said, {"role": "user", "content": as_plain_text(prompt)}]

    def turn_of_text(self, prompt: str) -> list[Message]:
        """Return the messages that ask ``prompt`` from text alone."""
        return [*self.frame, {"role": "user", "content": as_plain_text(prompt)}]


def _images_first(message: Message) -> Message:
    """Move the images of a turn before its text, where they all stand after it.

    Where text and images alternate, their order may matter and stays.
    """
    parts = _parts(message)
    kinds = [part["type"] for part in parts]
    if kinds == sorted(kinds, reverse=True) and len(set(kinds)) == 2:
        return {**message, "content": sorted(parts, key=lambda part: part["type"])}
    return message


def _query(turns: list[Message]) -> str:
    texts = [(turn["role"], _text(turn)) for turn in turns]
    *earlier, (_, latest) = texts
    if not earlier:
        return latest
    return with_earlier_turns(
        " ".join(f"{role.upper()}: {text.strip()}" for role, text in earlier), latest
    )


def _text(message: Message) -> str:
    return "\n".join(part["text"] for part in _parts(message) if part["type"] == "text")


def _parts(message: Message) -> list[Part]:
    content: str | list[Part] = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
