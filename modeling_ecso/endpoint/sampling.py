"""How an answer is to be written, in the words of the chat completions API."""

from dataclasses import dataclass
from typing import Any


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
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None

    @property
    def can_run_on(self) -> bool:
        """Whether this can keep an answer from ending where the model would end it."""
        rewards_repeats = min(self.presence_penalty or 0, self.frequency_penalty or 0) < 0
        return rewards_repeats or (self.temperature or 0) > 1

    def fields(self) -> dict[str, Any]:
        """Return what was said, as fields of a request."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return said | ({"stop": list(self.stop)} if self.stop else {})
