"""Gives the caller's streamer the answer: at its end, or its beginning as soon as that was judged.

Covered: a streamer with a method ``replace()`` may see the answer grow, where the settings stream
in ``windows``: it is given tokens up to the last checkpoint that was judged safe, less the
hold-back; where harm is found later, ``replace()`` says that all tokens behind the prompt are void,
and the safe answer follows. All others are given the answer when it is settled.
Not covered: several sequences, beams and loops of the caller's own, processors whose template knows
of thoughts, a `follow_up_prompt`: there the answer comes when it is settled.
"""

from collections.abc import Callable

import torch

from .call_ecso import Call


class AnswerStream:
    """One call's streamer. Has no repr: it may be given a draft.

    Args:
        call: What was asked for.

    Attributes:
        flows: Whether the streamer may be given the answer while that is written.
    """

    def __init__(self, call: Call):
        """Nothing is given yet."""
        request, config = call.request, call.ecso_config
        self._streamer = request.streamer
        self._prompt_ids = request.input_ids
        self._hold_back_chars = config.stream_hold_back_chars
        self._has_begun = False
        self._given = 0  # tokens of the answer
        self.flows = (
            config.stream == "windows"
            and config.follow_up_prompt is None
            and callable(getattr(request.streamer, "replace", None))
            and len(request.rows) * request.answers_per_row == 1
            and request.writes_token_by_token
            and not call.reader.knows_thoughts
        )

    def show_judged(self, ids: list[int], text_of: Callable[[list[int]], str]) -> None:
        """Give what may be seen of a beginning that was judged safe.

        Args:
            ids: Its tokens.
            text_of: From tokens to the text that was judged.
        """
        judged, seen = text_of(ids), len(ids)
        most = len(judged) - self._hold_back_chars
        while seen > self._given:
            text = text_of(ids[:seen])
            # Half a character is no beginning of the text yet.
            if len(text) <= most and judged.startswith(text):
                break
            seen -= 1
        if seen > self._given:
            self._put(torch.tensor([ids[:seen]]))

    def withdraw(self) -> None:
        """Say that what was given of the answer is void, if anything was."""
        if self._given:
            self._given = 0
            self._streamer.replace()

    def finish(self, sequences: torch.Tensor) -> None:
        """Give what is left of the answer.

        Args:
            sequences: Long, (sequences, prompt + answer), on any device.
        """
        sequences, length = sequences.cpu(), self._prompt_ids.shape[1]
        self._put(sequences[:, length:])
        self._streamer.end()

    def _put(self, answers: torch.Tensor) -> None:
        """Give as a model would: the prompt, then token by token.

        Args:
            answers: Long, (sequences, answer so far), on the CPU.
        """
        if not self._has_begun:
            self._has_begun = True
            self._streamer.put(self._prompt_ids.cpu())
        for position in range(self._given, answers.shape[1]):
            self._streamer.put(answers[:, position])
            self._given = position + 1
