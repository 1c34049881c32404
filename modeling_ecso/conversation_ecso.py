"""From a rendered prompt back to the conversation, and from a step's prompt to token ids.

`generate()` is given token ids, not messages. `ConversationReader.read` finds in them what the
user wrote; `ConversationReader.write` puts a step's prompt into the same frame: the system text of
the conversation, a user turn that opens with all its images, the opening of the answer. Images are
copied as they stand in the prompt, so what precedes and includes them is, token for token, what the
direct step has seen.

Covered: any chat template that renders a user turn as fixed text around images and text; a prompt
written by hand; several turns and images between them; thoughts, which a step does without; an
answer that the prompt has begun, and the answers of earlier turns. What counts as the user's text
is said in `prompts_ecso.py`.
Not covered: hiding inside the image.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .chat_template_ecso import Render, message
from .errors_ecso import ECSOProtocolError
from .image_format_ecso import PROBE, cannot_be_framed
from .prompt_format_ecso import learn_format
from .prompts_ecso import IMAGE_MARK, read_turns
from .vision_ecso import ImageBlock


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


class ConversationReader:
    """Reads and writes prompts in the format of one processor's chat template.

    Args:
        processor: A transformers processor with a tokenizer and a chat template.
        image_token_id: The id that stands for image features in the prompt.

    Attributes:
        processor: The processor.
        image_token_id: The id that stands for image features in prompts.
        end_ids, yes_ids, no_ids: As in `PromptFormat`.
        knows_thoughts: Whether the template does, so that an answer may begin with one.

    Raises:
        ECSOProcessorError: The processor has no chat template, or one that cannot be read.
    """

    def __init__(self, processor: Any, image_token_id: int | None):
        """Learn how the processor writes, once."""
        self.processor = processor
        self._tokenizer = processor.tokenizer
        self.image_token_id: Any = image_token_id
        self._vocabulary = self._vocabulary_now()
        self._format = form = learn_format(processor, image_token_id)
        self._images, self._thoughts = form.images, form.thoughts
        self.knows_thoughts = form.thoughts is not None
        self.end_ids, self.yes_ids, self.no_ids = form.end_ids, form.yes_ids, form.no_ids
        self._shortest = self._shortest_now()
        self._check_that_probes_come_back()

    def _check_that_probes_come_back(self) -> None:
        """Raise an error if what the processor writes is not read and written as it was."""
        for probe in self._format.images.probes:
            said = self.read(probe)
            with_images = bool(said.images)
            written = self._written(said, self._format.render, PROBE, with_images, "")
            if said.query != PROBE or written.ids != probe:
                what = "an image" if with_images else "a text"
                raise cannot_be_framed(f"{what} is not written as it is read")
        user_marker = self._format.turns.template.user_marker
        for probe in (*self._format.renderings, *self._format.placements):
            said = self.read(probe)
            alone = self.read(self._format.images.probes[bool(said.images)])
            before, found, behind = said.query.partition(PROBE)
            before = before.removeprefix("Earlier turns:\n").removeprefix(user_marker).strip()
            is_foreign = before or (behind and probe in self._format.renderings)
            if is_foreign or not found or said.begun.strip() or said.system != alone.system:
                raise cannot_be_framed(
                    "what its chat template writes around the turns depends on where an image "
                    "stands or on thinking, and cannot be told from the user's text"
                )

    def fits(self, processor: Any, image_token_id: int | None) -> bool:
        """Return whether this reads for a processor as it is now.

        Tokens may be added later, and some templates write the date.
        """
        is_same = self.processor is processor and self.image_token_id == image_token_id
        is_same = is_same and self._vocabulary == self._vocabulary_now()
        return is_same and self._shortest == self._shortest_now()

    def _shortest_now(self) -> str:
        return self._render_step(
            [{"role": "user", "content": [{"type": "text", "text": PROBE}]}], True
        )

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
        text, tail, thoughts = self._decode(ids, images, int(starts_with_bos)), "", self._thoughts
        form = self._format.turns
        if thoughts:
            text, tail = thoughts.without_tail(text)
            openings = thoughts.openings_before(tail) or form.answer_openings
            form = replace(form, answer_openings=openings)
        turns = read_turns(form, text, starts_with_bos, trust_system_text)
        return Conversation(
            *turns,
            images=images,
            starts_with_bos=starts_with_bos,
            thought_end=thoughts.closing_of(tail or turns.begun) if thoughts else "",
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
        form, turns = self._images, self._format.turns
        frame = turns.image_frame if blocks else turns.template.frame
        turn = self._first_turn(render([{"role": "user", "content": content}], True), frame)
        if blocks:
            if not turn.startswith(form.placed_opening):
                raise ECSOProtocolError("the step's prompt does not begin with its images")
            marks = (self._tokenizer.convert_ids_to_tokens(block.mark) for block in blocks)
            shown = form.between.join("".join(map(str, mark)) for mark in marks)
            turn = form.opening + shown + form.gap + turn[len(form.placed_opening) :]
        system = conversation.system
        if conversation.images and not blocks and turns.image_frame != turns.template.frame:
            system = turns.opening_without_images(system)
        ids = self._tokenizer(system + turn + end, add_special_tokens=False).input_ids
        start = [self._tokenizer.bos_token_id] if conversation.starts_with_bos else []
        return self._with_blocks([*start, *ids], blocks)

    def _first_turn(self, rendered: str, frame: str) -> str:
        """Return a rendered conversation without what the template writes in front of it."""
        if rendered.startswith(frame):
            return rendered[len(frame) :]
        return rendered[max(rendered.find(self._format.turns.template.user_marker), 0) :]

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
        return self._ids_after_opening(self._format.turns.template.answer_gap + text, text)

    def follow_up_ids(self, prompt: str) -> list[int]:
        """Return the ids that ask ``prompt`` as a further turn, right after an unended answer.

        Args:
            prompt: The user turn; special tokens in it are broken up.
        """
        # Where an answer opens as in the other steps: with a thought that is closed, if with one.
        opening = self._render_step([message("user", PROBE)], True).rpartition(PROBE)[2]
        opening += self._thoughts.suffix if self._thoughts else ""
        turn = self._format.turns.template.between_turns + self._as_plain_text(prompt) + opening
        return self._ids_after_opening(turn, turn)

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
        opening = self._format.turns.template.answer_opening
        before, whole, own = (
            list(self._tokenizer(each, add_special_tokens=False).input_ids)
            for each in (opening, opening + text, alone)
        )
        return whole[len(before) :] if whole[: len(before)] == before else own

    def _render_step(self, messages: list[dict[str, Any]], opens_answer: bool) -> str:
        """Return what a template renders that is told not to think."""
        off = self._thoughts.switched_off if self._thoughts else {}
        return str(
            self.processor.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opens_answer, **off
            )
        )

    def _decode(self, ids: list[int], images: tuple[ImageBlock, ...], start: int) -> str:
        """Return the text of a prompt from a place on, each block of images as one mark."""
        spans, at = [], start
        for block in images:
            spans.append(ids[at : block.start])
            at = block.end
        spans.append(ids[at:])
        return IMAGE_MARK.join(self._images.text_of(s).replace(IMAGE_MARK, " ") for s in spans)

    def _as_plain_text(self, text: str) -> str:
        """Return ``text`` with every spelled-out special token broken by a blank."""
        special_text = self._format.special_text
        while special_text.search(text):
            text = special_text.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text
