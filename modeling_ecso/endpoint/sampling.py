"""How an answer is to be written, in the words of the chat completions API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


# Whatever these hold, an answer ends where the model ends it, or earlier.
_END_AS_EVER = frozenset(
    {"max_tokens", "max_completion_tokens", "top_p", "top_k", "min_p", "stop", "seed"}
    | {"chat_template_kwargs", "reasoning_effort", "include_reasoning"}
)


def can_run_on(fields: Mapping[str, Any]) -> bool:
    """Return whether fields of a request can keep an answer from ending where the model would.

    Args:
        fields: In the words of the API; a field that is not known here can.
    """
    can_end_late = {
        "temperature": lambda value: value > 1,
        "presence_penalty": lambda value: value < 0,
        "frequency_penalty": lambda value: value < 0,
    }
    return any(
        can_end_late[name](value or 0) if name in can_end_late else name not in _END_AS_EVER
        for name, value in fields.items()
    )


@dataclass(frozen=True)
class Sampling:
    """How the answer is to be written; applies to the direct and the safe step alike.

    None everywhere means: not said, so that the server's own default holds.

    Args:
        max_tokens: Token limit of the answer.
        temperature: 0: greedy.
        top_p: In (0, 1].
        stop: Texts that end the answer.
        seed: For reproducible sampling.
        presence_penalty: In [-2, 2].
        frequency_penalty: In [-2, 2].
        enable_thinking: Whether the model is to think first; for the direct step alone.
        reasoning_effort: How much it is to think; for the direct step alone.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return what was said, as fields of a request."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        if self.stop:
            said["stop"] = list(self.stop)
        if "enable_thinking" in said:
            # Where the servers that know it look for it.
            said["chat_template_kwargs"] = {"enable_thinking": said.pop("enable_thinking")}
        return said
