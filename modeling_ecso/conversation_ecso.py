"""From a rendered prompt back to the conversation, and from a step's prompt to token ids.

`generate()` is given token ids, not messages. `ConversationReader.read` finds in them what the
user wrote; `ConversationReader.write` puts a step's prompt into the same frame: the system text of
the conversation, a user turn that opens with all its images, the opening of the answer. Images are
copied as they stand in the prompt, so what precedes and includes them is, token for token, what the
direct step has seen.

Covered: any chat template that renders a user turn as fixed text around images and text. A prompt
written by hand. Several turns and images between them. Thoughts, which a step does without. User
text that imitates role markers: roles are plain words in LLaVA's template, a forged turn cannot be
told from a real one, so everything from the first marker of any role on counts as the user's and
nothing is ever dropped. Text in front of it counts as the user's too, unless the template writes it
by itself or the settings trust it. An answer that the prompt has begun, and the answers of earlier
turns.
Not covered: hiding inside the image.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .chat_template_ecso import Render, any_of, read_template
from .errors_ecso import ECSOProtocolError
from .image_format_ecso import PROBE, cannot_be_framed, learn_images
from .prompts_ecso import with_earlier_turns
from .thought_ecso import learn_thoughts
from .verdict_ecso import word_of_token
from .vision_ecso import ImageBlock


# Stands for an image in the text of a prompt; a private-use character, so that no template has it.
_IMAGE_MARK = "\ue103"


@dataclass(frozen=True, repr=False)
class Conversation:
    """What a prompt says. Has no repr: it holds the user's text.

    Args:
        system: What opens every step, as rendered: text in front of the first turn that is not the
            user's.
        query: All other text: for one turn exactly the user's text, for several all of them, the
            earlier ones marked as such.
        begun: The answer that the prompt has begun, to be gone on with; where it has opened none,
            the text that the model goes on with in its place.
        earlier_answers: The answers of earlier turns.
        images: Where images stand in the prompt, in order.
        starts_with_bos: Whether the prompt began with the tokenizer's start token.
        thought_end: What closes the thought that the prompt has opened; empty for none.
    """

    system: str
    query: str
    begun: str
    earlier_answers: tuple[str, ...]
    images: tuple[ImageBlock, ...]
    starts_with_bos: bool
    thought_end: str


class WrittenPrompt(NamedTuple):
    """A prompt of a step.

    Args:
        ids: Its ids, without padding.
        image_starts: Where the conversation's images stand in it, in order.
    """

    ids: list[int]
    image_starts: list[int]


def _is_tag(token: str) -> bool:
    """Return whether a token has signs around it, unlike a word."""
    text = token.strip()
    has_letters = any(sign.isalnum() for sign in text)
    return has_letters and not (text[0].isalnum() and text[-1].isalnum())


class ConversationReader:
    """Reads and writes prompts in the format of one processor's chat template.

    Args:
        processor: A transformers processor with a tokenizer and a chat template.
        image_token_id: The id that stands for image features in the prompt.

    Attributes:
        processor: The processor.
        image_token_id: The id that stands for image features in prompts.
        end_ids: The ids that end an answer, as far as template and tokenizer tell.

    Raises:
        ECSOProcessorError: The processor has no chat template, or one that cannot be read.
    """

    def __init__(self, processor: Any, image_token_id: int | None):
        """Probe the chat template once."""
        self.processor = processor
        self._tokenizer = processor.tokenizer
        self.image_token_id: Any = image_token_id
        self._vocabulary = self._vocabulary_now()
        added = self._tokenizer.added_tokens_decoder.values()
        # Some tokenizers keep their role markers as added tokens that are not special.
        specials = {token.content for token in added if token.special or _is_tag(token.content)}
        specials |= {*self._tokenizer.all_special_tokens}
        if isinstance(image_token_id, int) and 0 <= image_token_id < len(self._tokenizer):
            specials.add(str(self._tokenizer.convert_ids_to_tokens(image_token_id)))
        # A single character cannot be broken up; it means in a step what it means in a prompt.
        self._special_text = any_of({s.strip() for s in specials if len(s.strip()) > 1})
        self._thoughts = learn_thoughts(self._render, str(processor.chat_template))
        self._template = read_template(
            self._render_plainly, self._special_text, self._tokenizer.bos_token or ""
        )
        self._frames = self._frames_of_prompts()
        self._images = learn_images(
            processor, self._render_plainly, image_token_id, specials, self._template.frame
        )
        end = self._template.answer_end
        end_id = self._tokenizer.eos_token_id
        if self._special_text.fullmatch(end):
            end_id = self._tokenizer.convert_tokens_to_ids(end)
        self.end_ids: list[int] = [] if end_id is None else [end_id]
        # Some tokenizers decode a blank after a special token that nobody wrote.
        gap = re.escape(self._images.gap)
        self._leading_images = re.compile(f"(?:{_IMAGE_MARK} ?{gap})+")
        self._check_that_probes_come_back()

    def _frames_of_prompts(self) -> list[str]:
        """Return what the template may write by itself in front of the first turn."""
        others = self._thoughts.frames if self._thoughts else ()
        opening = self._template.user_opening
        return [self._template.frame, *(frame.removesuffix(opening) for frame in others)]

    def _check_that_probes_come_back(self) -> None:
        """Raise an error if what the processor writes is not read and written as it was."""
        for probe in self._images.probes:
            said = self.read(probe)
            with_images = bool(said.images)
            written = self._written(said, self._render_plainly, PROBE, with_images, "")
            if said.query != PROBE or written.ids != probe:
                what = "an image" if with_images else "a text"
                raise cannot_be_framed(f"{what} is not written as it is read")

    def fits(self, processor: Any, image_token_id: int | None) -> bool:
        """Return whether this reads for a processor as it is now: tokens may be added later."""
        is_same = self.processor is processor and self.image_token_id == image_token_id
        return is_same and self._vocabulary == self._vocabulary_now()

    def _vocabulary_now(self) -> tuple[Any, ...]:
        tokenizer = self.processor.tokenizer
        return (
            id(tokenizer),
            len(tokenizer),
            tuple(tokenizer.all_special_tokens),
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
            self.processor.chat_template,
        )

    def read(self, ids: list[int], trust_system_text: bool = False) -> Conversation:
        """Return the conversation that a prompt holds.

        Args:
            ids: The prompt without padding.
            trust_system_text: Whether text in front of the first turn is the operator's.
        """
        bos = self._tokenizer.bos_token_id
        starts_with_bos = bos is not None and ids[:1] == [bos]
        images = self._images.blocks(ids)
        text, tail = self._decode(ids, images, int(starts_with_bos)), ""
        if self._thoughts:
            text, tail = self._thoughts.without_tail(text)
        frame, leading, turns = self._split(text, starts_with_bos, trust_system_text)
        turns, begun, earlier_answers = self._without_begun_answer(turns)
        query = self._query(turns)
        if leading:
            query = with_earlier_turns(leading, query)
        return Conversation(
            system=frame,
            query=query,
            begun=begun,
            earlier_answers=earlier_answers,
            images=images,
            starts_with_bos=starts_with_bos,
            thought_end=self._thoughts.closing_of(tail or begun) if self._thoughts else "",
        )

    def continued_text(self, ids: list[int], new_ids: list[int]) -> str:
        """Return the text of generated ids as it goes on with the prompt, blanks and all.

        Args:
            ids: The prompt without padding.
            new_ids: What was generated.
        """
        images = self._images.blocks(ids)
        prompt = ids[images[-1].end :] if images else ids
        before = self._plain_decode(prompt).rstrip("\ufffd")
        whole = self._plain_decode([*prompt, *new_ids])
        if whole.startswith(before):
            return whole[len(before) :]
        return " " + self._plain_decode(new_ids)

    def write(self, conversation: Conversation, prompt: str, with_images: bool) -> WrittenPrompt:
        """Return the token ids that ask ``prompt`` in the frame of a conversation.

        Args:
            conversation: Gives the system text and, if wanted, its images.
            prompt: The user turn. Special tokens spelled out in it, an image token for one, are
                broken up, so that they stay text.
            with_images: Whether the turn opens with the conversation's images.

        Raises:
            ECSOProtocolError: The tokenizer put image tokens where there is no image.
        """
        suffix = self._thoughts.suffix if self._thoughts else ""
        return self._written(conversation, self._render_step, prompt, with_images, suffix)

    def _written(
        self, conversation: Conversation, render: Render, prompt: str, with_images: bool, end: str
    ) -> WrittenPrompt:
        blocks = conversation.images if with_images else ()
        content = [{"type": "image"}] * bool(blocks)
        content += [{"type": "text", "text": self._as_plain_text(prompt)}]
        turn = self._first_turn(render([{"role": "user", "content": content}], True))
        form = self._images
        if blocks:
            if not turn.startswith(form.placed_opening):
                raise ECSOProtocolError("the step's prompt does not begin with its images")
            shown = form.between.join(self._text_of_mark(block.mark) for block in blocks)
            turn = form.opening + shown + form.gap + turn[len(form.placed_opening) :]
        ids = self._tokenizer(conversation.system + turn + end, add_special_tokens=False).input_ids
        start = [self._tokenizer.bos_token_id] if conversation.starts_with_bos else []
        return self._with_blocks([*start, *ids], blocks)

    def _first_turn(self, rendered: str) -> str:
        """Return a rendered conversation without what the template writes in front of it."""
        if rendered.startswith(self._template.frame):
            return rendered[len(self._template.frame) :]
        return rendered[max(rendered.find(self._template.user_marker), 0) :]

    def _text_of_mark(self, mark: list[int]) -> str:
        return "".join(map(str, self._tokenizer.convert_ids_to_tokens(mark)))

    def _with_blocks(self, ids: list[int], blocks: tuple[ImageBlock, ...]) -> WrittenPrompt:
        """Return the ids with every mark replaced by its block."""
        token = self._images.token_id
        if ids.count(token) != len(blocks):
            raise ECSOProtocolError("the step's prompt holds more image tokens than images")
        written: list[int] = []
        starts, at = [], 0
        for block in blocks:
            start = ids.index(token, at) - block.mark.index(token)
            if ids[start : start + len(block.mark)] != block.mark:
                raise ECSOProtocolError("the step's prompt does not hold its images as they were")
            written += ids[at:start]
            starts.append(len(written))
            written += block.ids
            at = start + len(block.mark)
        return WrittenPrompt(written + ids[at:], starts)

    def answer_text(self, ids: list[int]) -> str:
        """Return the text of generated ids, without special tokens and outer blanks."""
        return self._plain_decode(ids).strip()

    def after_thought(self, ids: list[int], is_open: bool = False) -> int | None:
        """Return the place behind the thoughts in generated ids; None where one has no end.

        Args:
            ids: What was generated.
            is_open: Whether the prompt has opened a thought.
        """
        text_of = self._images.text_of
        return self._thoughts.end_in(ids, text_of, is_open) if self._thoughts else 0

    def thought_end_ids(self, conversation: Conversation) -> list[int]:
        """Return what closes the thought that a prompt has opened; nothing for none."""
        end = conversation.thought_end
        return self._ids_after_opening(end, end) if end else []

    def thought_and_answer(self, ids: list[int], is_open: bool) -> tuple[str, str]:
        """Return the text of generated ids, cut behind the thoughts; a thought without end stays.

        Args:
            ids: What was generated.
            is_open: Whether the prompt has opened a thought.
        """
        start = self.after_thought(ids, is_open) or 0
        return self.answer_text(ids[:start]) if start else "", self.answer_text(ids[start:])

    def reply_text(self, ids: list[int]) -> str:
        """Return the text of generated ids without thoughts; empty while one has no end."""
        start = self.after_thought(ids)
        return "" if start is None else self.answer_text(ids[start:])

    def answer_ids(self, text: str) -> list[int]:
        """Return ``text`` as the ids that the model would have generated for it, unended."""
        return self._ids_after_opening(self._template.answer_gap + text, text)

    def follow_up_ids(self, prompt: str) -> list[int]:
        """Return the ids that ask ``prompt`` as a further turn, right after an unended answer.

        Args:
            prompt: The user turn; special tokens in it are broken up.
        """
        around = self._template
        turn = around.between_turns + self._as_plain_text(prompt) + around.answer_opening
        return self._ids_after_opening(turn, turn)

    @cached_property
    def yes_ids(self) -> list[int]:
        """Every single token that says yes."""
        return self._word_ids("yes")

    @cached_property
    def no_ids(self) -> list[int]:
        """Every single token that says no."""
        return self._word_ids("no")

    def _word_ids(self, word: str) -> list[int]:
        vocabulary = self._tokenizer.get_vocab().items()
        return [token_id for token, token_id in vocabulary if word_of_token(token) == word]

    def _plain_decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _ids_after_opening(self, text: str, alone: str) -> list[int]:
        """Return the ids of ``text`` as it stands after the opening of an answer.

        Some tokenizers put a blank in front of whatever is tokenized alone; ``alone`` is what to
        tokenize where opening and text cannot be told apart.
        """
        opening = self._template.answer_opening
        before, whole, own = (
            list(self._tokenizer(each, add_special_tokens=False).input_ids)
            for each in (opening, opening + text, alone)
        )
        return whole[len(before) :] if whole[: len(before)] == before else own

    def _render(self, messages: list[dict[str, Any]], opens_answer: bool, **switch: bool) -> str:
        return str(
            self.processor.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opens_answer, **switch
            )
        )

    def _render_step(self, messages: list[dict[str, Any]], opens_answer: bool) -> str:
        """Return what a template renders that is told not to think."""
        off = self._thoughts.switched_off if self._thoughts else {}
        return self._render(messages, opens_answer, **off)

    def _render_plainly(self, messages: list[dict[str, Any]], opens_answer: bool) -> str:
        """Return the same without thoughts that the template itself opens or closes."""
        rendered = self._render_step(messages, opens_answer)
        return self._thoughts.without_own(rendered) if self._thoughts else rendered

    def _decode(self, ids: list[int], images: tuple[ImageBlock, ...], start: int) -> str:
        """Return the text of a prompt from a place on, each block of images as one mark."""
        spans, at = [], start
        for block in images:
            spans.append(ids[at : block.start])
            at = block.end
        spans.append(ids[at:])
        return _IMAGE_MARK.join(self._images.text_of(s).replace(_IMAGE_MARK, " ") for s in spans)

    def _split(self, text: str, has_bos: bool, trust_system_text: bool) -> tuple[str, str, str]:
        """Return what opens the steps, text of the user's in front of the first turn, the turns."""
        template = self._template
        own_frames = [(frame, template.frame) for frame in self._frames]
        if has_bos:  # which may be the one that the template writes
            bos = self._tokenizer.bos_token
            own_frames += [(a.removeprefix(bos), b.removeprefix(bos)) for a, b in own_frames]
        marker = template.turn_marker if trust_system_text else template.role_marker
        for frame, in_step in own_frames:
            if frame and text.startswith(frame) and marker.match(text, len(frame)):
                return in_step, "", text[len(frame) :]
        first = marker.search(text)
        leading, turns = (text[: first.start()], text[first.start() :]) if first else ("", text)
        if _IMAGE_MARK in leading:
            # An image before the first role marker: the prompt is written by hand, all of it by
            # the user as far as anyone can tell.
            leading, turns = "", text
        if trust_system_text or not leading:
            return leading, "", turns
        return own_frames[-1][1], leading, turns

    def _without_begun_answer(self, turns: str) -> tuple[str, str, tuple[str, ...]]:
        """Return the turns without the answer they have begun, that answer, and earlier ones."""
        found = list(self._template.role_marker.finditer(turns))
        ends = [*(marker.start() for marker in found[1:]), len(turns)][: len(found)]
        said = [
            self._without_end(turns[marker.end() : end].replace(_IMAGE_MARK, " "))
            for marker, end in zip(found, ends, strict=True)
        ]
        opens_answer = self._template.any_answer_marker.fullmatch
        is_answer = [bool(opens_answer(marker[0])) for marker in found]
        # Behind the last turn that is no answer, all answers are one.
        after = max((at + 1 for at, answers in enumerate(is_answer) if not answers), default=0)
        if said[after:]:
            begun = "".join(said[after:]).lstrip()
        else:
            # No answer is opened, or not as the template does it: what is written goes on with the
            # last text, whatever that holds.
            begun = (said or [turns.replace(_IMAGE_MARK, " ")])[-1].lstrip()
        earlier = [
            text.strip()
            for text, answers in zip(said[:after], is_answer[:after], strict=True)
            if answers
        ]
        if said[after:] and said[-1].strip():
            # Judged as an answer, so no part of the query; the opening in front of it stays.
            turns = turns[: found[-1].end()]
        return turns, begun, tuple(filter(None, earlier))

    def _without_end(self, answer: str) -> str:
        """Return an answer without what the template writes behind it."""
        if self._template.answer_end and answer.rstrip().endswith(self._template.answer_end):
            return answer.rstrip().removesuffix(self._template.answer_end)
        return answer

    def _query(self, turns: str) -> str:
        """Return the text of the turns without frame and images, earlier turns marked."""
        template = self._template
        opens_as_user = turns.startswith(template.user_marker)
        if turns.startswith(self._images.opening + _IMAGE_MARK):
            body = turns[len(self._images.opening) :]
        elif turns.startswith(template.user_opening):
            body = turns[len(template.user_opening) :]
        else:
            body = turns.removeprefix(template.user_marker)
        if body.endswith(template.answer_opening):
            body = body[: -len(template.answer_opening)]
        else:
            for opening in (template.answer_opening.rstrip(), template.answer_marker):
                if body.rstrip().endswith(opening):
                    body = body.rstrip().removesuffix(opening).rstrip()
                    break
        opening_images = self._leading_images.match(body)
        if opening_images:
            body = body[opening_images.end() :]
        body = body.lstrip(_IMAGE_MARK).replace(_IMAGE_MARK, " ")
        if template.user_marker not in body and template.answer_marker not in body:
            return body
        first = f"{template.user_marker} " if opens_as_user else ""
        earlier, marker, latest = body.rpartition(template.user_marker)
        if not marker:
            return f"{first}{body.strip()}"
        return with_earlier_turns(f"{first}{earlier.strip()}", latest)

    def _as_plain_text(self, text: str) -> str:
        """Return ``text`` with every spelled-out special token broken by a blank."""
        while self._special_text.search(text):
            text = self._special_text.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text
