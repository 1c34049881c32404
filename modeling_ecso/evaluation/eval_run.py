"""`EvalRun`: one finished evaluation, the plain record that all after it works on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .samples import SampleResult


DIRECT = "direct"
PROTECTED = "protected"
# The published utility scripts, which keep the image in the last step, against the paper.
UTILITY_SCRIPTS = "utility-scripts"

# The order in which runs are shown.
_VARIANTS = (DIRECT, PROTECTED, "reference", UTILITY_SCRIPTS, "paper", "hardened")


@dataclass(frozen=True)
class EvalRun:
    """One finished evaluation of one benchmark.

    Args:
        benchmark: Its name.
        kind: The kind of run, such as of image or language; empty where there is one.
        variant: ``direct``, ``protected``, the name of a preset, or ``utility-scripts``.
        model: As Inspect names it.
        judge: Who judged, as found with the samples; empty where nothing was.
        grader: The model that was to judge what no rule reads; empty where there is none.
        created: When, as ISO 8601.
        file: The log.
        arguments: The task's arguments, as given.
        provider_arguments: The provider's arguments, as given.
        generation: How answers were generated, such as their temperature.
        epochs: How often each sample was asked.
        samples: What was asked, answered and judged.
        asked: Number of samples that the run was to have.
        is_limited: Whether it was to have only some of the samples there are.
        failures: The names of the exceptions that samples failed with, and how often.
    """

    benchmark: str
    kind: str
    variant: str
    model: str
    judge: str
    created: str
    file: Path
    arguments: dict[str, Any]
    provider_arguments: dict[str, Any]
    samples: tuple[SampleResult, ...] = field(repr=False)
    asked: int
    grader: str
    is_limited: bool
    generation: dict[str, Any] = field(default_factory=dict)
    epochs: int = 1
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def attack(self) -> str:
        """The attack that its samples were under; empty: none."""
        return str(self.arguments.get("attack") or "")

    @property
    def conditions(self) -> dict[str, Any]:
        """What two complete runs must share for their figures to stand side by side."""
        return {
            **{name: self.arguments[name] for name in sorted(self.arguments)},
            **self.generation,
            "judge": self.grader or self.judge,
            "samples": sorted(sample.id for sample in self.samples),
        }

    @property
    def moment(self) -> datetime:
        """When it was made, or judged last."""
        return datetime.fromisoformat(self.created)

    @property
    def is_complete(self) -> bool:
        """Whether every sample was answered and judged."""
        return len(self.samples) == self.asked


def in_order(variants: Iterable[str]) -> list[str]:
    """Return the variants as they are shown: direct first, those of another making last."""
    return sorted(
        set(variants),
        key=lambda name: (_VARIANTS.index(name) if name in _VARIANTS else len(_VARIANTS), name),
    )
