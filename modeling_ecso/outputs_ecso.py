"""The output of a protected `generate()`: what the parent returns, plus one trace per sequence."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from transformers.generation.utils import (
    GenerateBeamDecoderOnlyOutput,
    GenerateDecoderOnlyOutput,
)

from .events_ecso import Trace


@dataclass
class ECSOGenerateOutput(GenerateDecoderOnlyOutput):
    """Output with ``return_dict_in_generate=True``, without beams.

    Where an answer is not the draft as it was written, ``scores`` and ``logits`` hold those of the
    answer, NaN where it has none (the refusal, what closes a thought, positions after its end);
    ``attentions`` and ``hidden_states`` are None, since they would hold the draft's.
    ``past_key_values``, ``cache`` from transformers 5.24 on, is always None: a protected call takes
    the whole conversation and no cache.

    Args:
        ecso_traces: One `Trace` for each sequence.
    """

    ecso_traces: tuple[Trace, ...] | None = None


@dataclass
class ECSOGenerateBeamOutput(GenerateBeamDecoderOnlyOutput):
    """Output with ``return_dict_in_generate=True``, with beams.

    Where an answer is not the draft, ``sequences_scores`` holds that of the answer, NaN for the
    refusal; everything that is laid out by beam is None, since it would hold the draft's.

    Args:
        ecso_traces: One `Trace` for each sequence.
    """

    ecso_traces: tuple[Trace, ...] | None = None


def with_traces(output: Any, traces: tuple[Trace, ...]) -> Any:
    """Return the parent's output, unchanged but for the traces."""
    kind = ECSOGenerateBeamOutput if _has_beams(output) else ECSOGenerateOutput
    return kind(**_fields_of(output), ecso_traces=traces)


def replaced_output(
    direct: Any,
    sequences: Any,
    steps: int,
    sources: list[Any],
    traces: tuple[Trace, ...],
) -> Any:
    """Return an output of which at least one sequence is not the draft.

    Args:
        direct: The parent's output of the direct step.
        sequences: Long, (sequences, longest): prompts and final answers.
        steps: Length of the longest answer, in tokens.
        sources: For each sequence the `GeneratedAnswer` it comes from, None for the refusal.
        traces: For each sequence its trace.
    """
    if _has_beams(direct):
        scores = None
        if direct.sequences_scores is not None:
            scores = torch.stack([_own_score(source, direct) for source in sources])
        return ECSOGenerateBeamOutput(
            sequences=sequences, sequences_scores=scores, ecso_traces=traces
        )
    return ECSOGenerateOutput(
        sequences=sequences,
        scores=_own_rows("scores", direct, sources, steps),
        logits=_own_rows("logits", direct, sources, steps),
        ecso_traces=traces,
    )


def _has_beams(output: Any) -> bool:
    return isinstance(output, GenerateBeamDecoderOnlyOutput)


def _fields_of(output: Any) -> dict[str, Any]:
    return {field.name: getattr(output, field.name) for field in fields(output)}


def _own_score(source: Any, direct: Any) -> torch.Tensor:
    if source is None:
        return torch.full_like(direct.sequences_scores[0], float("nan"))
    return source.output.sequences_scores[source.index].to(direct.sequences_scores.device)


def _own_rows(name: str, direct: Any, sources: list[Any], steps: int) -> Any:
    """Return scores or logits, one (sequences, vocabulary) for each position of the answers."""
    drafts = getattr(direct, name)
    if not drafts:
        return None
    nothing = torch.full_like(drafts[0][0], float("nan"))

    def own(source: Any, step: int) -> torch.Tensor:
        if source is None or not source.added <= step < len(source.ids):
            return nothing
        generated = getattr(source.output, name)[step - source.added + source.skipped]
        return generated[source.index].to(nothing.device)

    return tuple(torch.stack([own(source, step) for source in sources]) for step in range(steps))
