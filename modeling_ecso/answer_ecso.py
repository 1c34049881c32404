"""What was generated as an answer, and how it is returned: outside of thoughts.

A prompt may have opened a thought, which the draft goes on with. What takes the draft's place was
not written as a thought and must not be read as one, so the thought is closed in front of it.
"""

from dataclasses import dataclass, replace
from typing import Any

from .call_ecso import Call
from .conversation_ecso import Conversation


@dataclass(repr=False)
class GeneratedAnswer:
    """Token ids that may become the answer. Has no repr: it may be an unsafe draft.

    Args:
        ids: Ids after the prompt, the end token among them, without padding.
        output: The output of the `generate()` call they come from.
        index: Their row in that output.
        added: How many ids in front were not generated: they close a thought.
        skipped: How many generated ones in front are left out: they were a thought.
    """

    ids: list[int]
    output: Any
    index: int
    added: int = 0
    skipped: int = 0


def returned_answer(
    call: Call, said: Conversation, answer: GeneratedAnswer, is_draft: bool
) -> GeneratedAnswer:
    """Return an answer as it is returned: in no open thought, and with none that is unwanted.

    Args:
        call: What was asked for.
        said: The conversation that it belongs to.
        answer: What was generated.
        is_draft: Whether it goes on with the prompt, and with a thought that is opened there.
    """
    is_open = bool(said.thought_end)
    keeps = call.ecso_config.keep_thought
    if keeps and (is_draft or not is_open):
        return answer
    start = 0 if keeps else call.reader.after_thought(answer.ids, is_open and is_draft)
    skipped = len(answer.ids) if start is None else start
    closing = call.reader.thought_end_ids(said)
    ids = [*closing, *answer.ids[skipped:]][: call.request.new_tokens]
    return replace(answer, ids=ids, added=len(closing), skipped=skipped)


def refusal_ids(call: Call, index: int) -> list[int]:
    """Return the configured refusal as ids, ended like an answer and no longer than one.

    Args:
        call: What was asked for.
        index: That of the answer whose place it takes.
    """
    request, reader = call.request, call.reader
    closing = reader.thought_end_ids(request.rows[index // request.answers_per_row].conversation)
    ids = reader.answer_ids(call.ecso_config.refusal) + request.end_ids[:1]
    return [*closing, *ids][: request.new_tokens]
