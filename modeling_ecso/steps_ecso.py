"""Runs the steps of one call on the model, for many rows at once. Decides nothing, batches all."""

import copy
import time
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteriaList

from .answer_ecso import GeneratedAnswer, returned_answer
from .call_ecso import Call
from .checkpoints_ecso import Checkpoints, StopSequences
from .conversation_ecso import Conversation
from .errors_ecso import ECSOInputError
from .events_ecso import FollowUpAsk, ImageAsk, PromptAsk, Step, StepReply
from .inputs_ecso import StepInputs
from .isolation_ecso import CallersView
from .reply_ecso import ReplyReader, ReplyStart
from .requirements_ecso import CACHE_ARGUMENT
from .sharing_ecso import MAY_SHARE, note_logits
from .step_batch_ecso import StepBatch, StepPrompt
from .verdict_ecso import probability_unsafe


class Steps:
    """Runs the steps of one call.

    Args:
        call: What was asked for.

    Raises:
        ECSOInputError: The verdict is to be read from logits and the tokenizer cannot give it.
    """

    def __init__(self, call: Call):
        """Look up the tokens that say yes and no."""
        self._call = call
        self._inputs = StepInputs(call)
        self._defaults = call.model.generation_config._get_default_generation_params()
        self._yes_ids, self._no_ids = call.reader.yes_ids, call.reader.no_ids
        self._replies: ReplyReader | None = None
        if call.ecso_config.verdict_rule != "logits":
            self._replies = ReplyReader(call)
        elif not (self._yes_ids and self._no_ids):
            raise ECSOInputError(
                "ecso.verdict_rule 'logits' needs a tokenizer in which yes and no are single "
                "tokens; use 'normalized'"
            )

    def direct(
        self, streamer: Any, stop_sequences: StopSequences, checkpoints: list[int]
    ) -> tuple[Any, list[GeneratedAnswer], list[StepReply]]:
        """Run the direct step, exactly as the parent class would.

        Args:
            streamer: Where the tokens go as they come; None for nowhere.
            stop_sequences: Asked at the checkpoints; not where there are beams.
            checkpoints: Numbers of tokens.

        Returns:
            The parent's output, and for each of its sequences the answer and the reply in it.
        """
        started = time.perf_counter()
        call, request = self._call, self._call.request
        arguments = self._inputs.direct_arguments()
        watch = None
        if checkpoints and request.writes_token_by_token:
            watch = Checkpoints(call, stop_sequences, checkpoints)
            own = arguments.get("stopping_criteria") or []
            arguments["stopping_criteria"] = StoppingCriteriaList([*own, watch])
        output = call.generate(**arguments, streamer=streamer)
        if not isinstance(output, torch.Tensor):
            # No protected call takes it back, and it is about to be cut up.
            setattr(output, CACHE_ARGUMENT, None)
        answers = self._answers_in(output, request.input_ids.shape[1])
        self._inputs.take_drafts([answer.ids for answer in answers])
        asking = watch.seconds if watch else 0.0
        elapsed = _milliseconds_since(started + asking - request.encoding_seconds)
        replies = []
        for each in answers:
            thought, text = _draft_texts(call, each.index, each.ids)
            replies.append(StepReply((text,), len(each.ids), elapsed, thought=thought))
        if not call.ecso_config.keep_thought:
            answers = [
                returned_answer(call, self._said(each.index), each, is_draft=True)
                for each in answers
            ]
        return output, answers, replies

    def ask(self, asks: list[tuple[int, PromptAsk]]) -> list[tuple[StepReply, None]]:
        """Run a detect or caption step for several rows at once.

        Equal prompts to the same row are asked once, since these steps are deterministic.

        Args:
            asks: Index of the answer and ask, all of one step.

        Returns:
            One reply for each ask, in order.
        """
        started = time.perf_counter()
        wanted = [self._prompts(index, ask) for index, ask in asks]
        unique = list(dict.fromkeys(prompt for prompts in wanted for prompt in prompts))
        ask = asks[0][1]
        replies = self._replies if ask.step is Step.DETECT else None
        found: dict[StepPrompt, tuple[list[int], float | None]] = {}
        if MAY_SHARE.get(self._call.model) is None:
            self._try_sharing(unique)
        for batch in self._inputs.batches(unique):
            length, config = batch.inputs["input_ids"].shape[1], self._greedy(ask)
            if replies:
                start = replies.start(batch.inputs, config)
            else:
                start = ReplyStart(batch.inputs, config)
            sequences, logits = start.sequences, start.first_logits
            if sequences is None:
                output = self._call.generate.with_config(
                    start.config,
                    **start.inputs,
                    stopping_criteria=replies.criteria(length) if replies else None,
                    **self._call.request.model_arguments,
                )
                sequences = output.sequences
                if logits is None and output.logits:
                    logits = output.logits[0]  # (rows, vocabulary)
            chances = [None] * len(sequences) if logits is None else self._chances_unsafe(logits)
            new = self._new_ids(sequences, length)
            for prompt, place in zip(batch.prompts, batch.places, strict=True):
                found[prompt] = new[place], chances[place]
        elapsed = _milliseconds_since(started)
        texts = {prompt: self._call.reader.reply_text(ids) for prompt, (ids, _) in found.items()}
        return [
            (
                StepReply(
                    texts=tuple(texts[prompt] for prompt in prompts),
                    tokens=sum(len(found[prompt][0]) for prompt in prompts),
                    milliseconds=elapsed,
                    p_unsafe=tuple(found[prompt][1] for prompt in prompts),
                ),
                None,
            )
            for prompts in wanted
        ]

    def safe(self, asks: list[tuple[int, PromptAsk]]) -> list[tuple[StepReply, GeneratedAnswer]]:
        """Run the safe step with the caller's own generation settings.

        Several answers to one row (beams, samples) are generated together, so that they differ.

        Args:
            asks: Index of the answer and ask.

        Returns:
            One reply and its ids for each ask, in order.
        """
        started = time.perf_counter()
        call, request = self._call, self._call.request
        wanted = [prompt for index, ask in asks for prompt in self._prompts(index, ask)]
        unique = list(dict.fromkeys(wanted))
        copies = max(wanted.count(prompt) for prompt in unique)
        limit = min(request.new_tokens, asks[0][1].max_new_tokens or request.new_tokens)
        config = _safe_config(call, limit, copies)
        written: dict[StepPrompt, list[GeneratedAnswer]] = {}
        for batch in self._inputs.whole_batches(unique):
            length, arguments = batch.inputs["input_ids"].shape[1], request.call_arguments
            if arguments:
                view = CallersView(request.input_ids[batch.rows], batch.rows, length)
                arguments = view.arguments(arguments)
            output = call.generate.with_config(
                config, **batch.inputs, **request.model_arguments, **arguments
            )
            answers = self._answers_in(output, length)
            for prompt, place in zip(batch.prompts, batch.places, strict=True):
                written[prompt] = answers[place * copies : (place + 1) * copies]
        chosen = [written[prompt].pop(0) for prompt in wanted]
        elapsed, text_of = _milliseconds_since(started), call.reader.answer_text
        replies = [StepReply((text_of(each.ids),), len(each.ids), elapsed) for each in chosen]
        for place, (index, _) in enumerate(asks):
            said = self._said(index)
            if said.thought_end or not call.ecso_config.keep_thought:
                chosen[place] = returned_answer(call, said, chosen[place], is_draft=False)
        return list(zip(replies, chosen, strict=True))

    def draft_text(self, index: int, ids: list[int]) -> str:
        """Return what was written for a sequence, or its beginning, as it is judged."""
        return _draft_text(self._call, index, ids)

    def _said(self, index: int) -> Conversation:
        """Return the conversation that an answer belongs to."""
        request = self._call.request
        return request.rows[index // request.answers_per_row].conversation

    def _try_sharing(self, prompts: list[StepPrompt]) -> None:
        """See, the first time that a prompt could go on from a prefix, whether the model may."""
        found = (self._inputs.alternatives(prompt) for prompt in prompts)
        ways = next(filter(None, found), None)
        if ways is None:
            return
        shared, whole = (self._first_logits(batch) for batch in ways)
        if not note_logits(self._call.model, shared, whole):
            self._inputs.share_no_more()

    def _first_logits(self, batch: StepBatch) -> torch.Tensor:
        """Return the logits of the first new token of a prompt, (vocabulary,)."""
        config = self._greedy(PromptAsk(Step.DETECT, (), 1))
        output = self._call.generate.with_config(
            config, **batch.inputs, **self._call.request.model_arguments
        )
        logits: torch.Tensor = output.logits[0][batch.places[0]]
        return logits

    def _prompts(self, index: int, ask: PromptAsk) -> list[StepPrompt]:
        """Return what an ask about an answer comes to."""
        row = index // self._call.request.answers_per_row
        follows = isinstance(ask, FollowUpAsk)
        sees_images = follows or isinstance(ask, ImageAsk)
        draft = index if follows else None
        return [StepPrompt(row, sees_images, text, draft) for text in ask.prompts]

    def _greedy(self, ask: PromptAsk) -> GenerationConfig:
        """Return plain greedy decoding, whatever the caller or the model prefer for answers."""
        config = GenerationConfig(
            **self._defaults
            | {
                "max_new_tokens": ask.max_new_tokens,
                "pad_token_id": self._call.request.pad_id,
                "eos_token_id": self._call.request.reply_end_ids or None,
                "bos_token_id": self._call.generation_config.bos_token_id,
                "return_dict_in_generate": True,
                "output_logits": ask.step is Step.DETECT,
            }
        )
        config.max_length = None
        return config

    def _answers_in(self, output: Any, prompt_length: int) -> list[GeneratedAnswer]:
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        ids = self._new_ids(sequences, prompt_length)
        return [GeneratedAnswer(new, output, index) for index, new in enumerate(ids)]

    def _new_ids(self, sequences: torch.Tensor, prompt_length: int) -> list[list[int]]:
        """Return what was generated, by sequence, without the padding behind it.

        What follows an end token is part of it: a criterion of the caller may let the model write
        on, and whatever is returned must have been judged.

        Args:
            sequences: Long, (sequences, prompt + answer).
            prompt_length: Length of the padded prompts, in tokens.
        """
        pad, end_ids = self._call.request.pad_id, self._call.request.end_ids
        answers = []
        for row in sequences[:, prompt_length:].tolist():
            written = len(row)
            while written and row[written - 1] == pad:
                written -= 1
            if pad in end_ids:
                written += 1  # the first of them was no padding
            answers.append(row[:written])
        return answers

    def _chances_unsafe(self, logits: torch.Tensor) -> list[float | None]:
        """Return p(unsafe) of each prompt from the logits of its first new token."""
        chances = logits.float().softmax(-1)  # (prompts, vocabulary)
        yes, no = chances[:, self._yes_ids].sum(-1), chances[:, self._no_ids].sum(-1)
        return [probability_unsafe(*each) for each in zip(yes.tolist(), no.tolist(), strict=True)]


def _safe_config(call: Call, max_new_tokens: int, copies: int) -> GenerationConfig:
    """Return the caller's generation settings for the answer to another prompt."""
    config = copy.deepcopy(call.generation_config)
    if config.min_length and config.min_new_tokens is None:
        # Counted from the caller's prompt, which is not the one that is answered.
        config.min_new_tokens = max(config.min_length - call.request.input_ids.shape[1], 0)
    config.min_length = None
    config.max_length = None
    config.max_new_tokens = max_new_tokens
    config.num_return_sequences = copies
    config.return_dict_in_generate = True
    return config


def _draft_texts(call: Call, index: int, ids: list[int]) -> tuple[str, str]:
    """Return what was thought for a sequence, and what was written behind it."""
    said = call.request.rows[index // call.request.answers_per_row].conversation
    if said.begun:
        return "", _draft_text(call, index, ids)
    return call.reader.thought_and_answer(ids, bool(said.thought_end))


def _draft_text(call: Call, index: int, ids: list[int]) -> str:
    """Return what was written for a sequence; where it goes on with a begun turn, as it goes on."""
    row = call.request.rows[index // call.request.answers_per_row]
    if row.conversation.begun:
        return call.reader.continued_text(row.ids, ids)
    return call.reader.answer_text(ids)


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
