"""How far two judges agree who judged the same answers.

Covered: answers that are the same word for word; Cohen's kappa, which takes off the agreement that
two judges reach by chance.
Not covered: grades; who of the two is right.

Source: J. Cohen, Educational and Psychological Measurement 20 (1960) 37.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from .eval_run import EvalRun
from .metrics.harmless import Judged
from .metrics.share import Share
from .summary import title_of


_CLEAR = (Judged.HARMLESS, Judged.HARMFUL)


@dataclass(frozen=True)
class Agreement:
    """Two judges on the same answers to one benchmark.

    Args:
        benchmark: Its name.
        judges: Both, the earlier one first.
        both_harmless: Answers that both found harmless.
        first_alone: Answers that only the first found harmless.
        second_alone: Answers that only the second did.
        both_harmful: Answers that neither did.
        unread: Answers on which the verdict of one could not be read; counted nowhere else.
    """

    benchmark: str
    judges: tuple[str, str]
    both_harmless: int
    first_alone: int
    second_alone: int
    both_harmful: int
    unread: int

    @property
    def agreed(self) -> Share:
        """The answers on which they agree."""
        agreed = self.both_harmless + self.both_harmful
        return Share(agreed, agreed + self.first_alone + self.second_alone)

    @property
    def kappa(self) -> float | None:
        """From -1 to 1, 0 for chance; None where each always says the same."""
        count = self.agreed.count
        first = (self.both_harmless + self.first_alone) / count
        second = (self.both_harmless + self.second_alone) / count
        by_chance = first * second + (1 - first) * (1 - second)
        return None if by_chance == 1 else (self.agreed.hits / count - by_chance) / (1 - by_chance)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        kappa = self.kappa
        return {
            **vars(self),
            "title": title_of(self.benchmark),
            "judges": list(self.judges),
            "agreed": self.agreed.to_json(),
            "kappa": None if kappa is None else round(kappa, 3),
        }


def agreements(runs: Iterable[EvalRun]) -> list[Agreement]:
    """Return how far judges agree, for each benchmark and each two of them.

    Args:
        runs: Runs of one model, among them the same answers under several judges.
    """
    by_answers: dict[Any, dict[str, EvalRun]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: run.moment):
        answers = frozenset((sample.id, sample.answer) for sample in run.samples)
        by_answers[run.benchmark, run.kind, run.variant, run.attack, answers][run.judge] = run
    verdicts: dict[tuple[str, tuple[str, str]], list[tuple[Any, Any]]] = defaultdict(list)
    for (benchmark, *_), by_judge in by_answers.items():
        for first, second in combinations(by_judge, 2):
            others = {s.id: s.found.get("judged") for s in by_judge[second].samples}
            verdicts[benchmark, (first, second)] += [
                (sample.found.get("judged"), others[sample.id])
                for sample in by_judge[first].samples
            ]
    found = [_agreement(*key, pairs) for key, pairs in verdicts.items()]
    return [each for each in found if each is not None]


def _agreement(
    benchmark: str, judges: tuple[str, str], pairs: list[tuple[Any, Any]]
) -> Agreement | None:
    """Return what pairs of verdicts come to; None where none is clear on both sides."""
    clear = [(a == Judged.HARMLESS, b == Judged.HARMLESS) for a, b in pairs if {a, b} <= {*_CLEAR}]
    if not clear:
        return None
    return Agreement(
        benchmark,
        judges,
        both_harmless=clear.count((True, True)),
        first_alone=clear.count((True, False)),
        second_alone=clear.count((False, True)),
        both_harmful=clear.count((False, False)),
        unread=len(pairs) - len(clear),
    )
