"""`DraftScore`: what the detect step said of one draft, and what it took."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DraftScore:
    """One draft. The draft itself is not kept.

    Args:
        p_unsafe: In [0, 1]; None where the verdict was neither yes nor no, so that the draft is
            withheld at every threshold.
        declines: Whether the draft declines by itself, by the rules for refusals.
        direct_ms: Time of the draft, in milliseconds.
        detect_ms: Time of the verdict, in milliseconds.
    """

    p_unsafe: float | None
    declines: bool
    direct_ms: float
    detect_ms: float

    @property
    def score(self) -> float:
        """What a threshold is compared with: above 1 where every threshold withholds."""
        return 2.0 if self.p_unsafe is None else self.p_unsafe
