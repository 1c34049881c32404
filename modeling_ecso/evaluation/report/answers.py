"""The four questions of whoever considers ECSO for a model, answered in plain sentences.

Covered: every answer has its figures with exact 95 % intervals, or says that it is not known and
which command finds out.
Not covered: what a figure depends on (judge, limits, small print); that stands further down.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..attack import NONE
from ..attack_table import AttackTable, times_of
from ..eval_run import DIRECT, PROTECTED, EvalRun, in_order
from ..metrics.harmless import Judged
from ..metrics.interval import exact_interval
from ..metrics.share import Share, share_of
from ..samples import SampleResult, guard_record
from ..summary import measured


@dataclass(frozen=True)
class Answer:
    """One question and its answer.

    Args:
        question: As a reader would ask it.
        verdict: The answer in a word or a few; empty where there is none so short.
        text: The answer in sentences, with figures.
    """

    question: str
    verdict: str
    text: str


class _Key(NamedTuple):
    """What two runs asked alike."""

    benchmark: str
    kind: str
    sample: str


def answers(
    runs: Sequence[EvalRun], attacks: AttackTable | None, calibration: Mapping[str, Any] | None
) -> list[Answer]:
    """Return the four answers.

    Args:
        runs: The runs of a model that stand side by side.
        attacks: What came of them under attack; None: no attack was tried.
        calibration: What `ecso calibrate` found; None: it was not run.
    """
    variants = [v for v in in_order(run.variant for run in runs) if v != DIRECT]
    # One protected variant answers; the others stand in the tables.
    lead = PROTECTED if PROTECTED in variants else variants[-1] if variants else ""
    return [
        _helps(measured(runs, "safety"), lead),
        _threshold(calibration),
        _costs(measured(runs, "utility"), lead),
        _gets_by(measured(runs, "safety"), lead, attacks),
    ]


def _helps(runs: Sequence[EvalRun], lead: str) -> Answer:
    question = "Does it help this model?"
    direct, protected = _samples(runs, DIRECT), _samples(runs, lead)
    both = [key for key in direct if key in protected]
    before = share_of(_is_harmless(direct[key]) for key in both)
    after = share_of(_is_harmless(protected[key]) for key in both)
    if before is None or after is None:
        how = "run ecso eval BENCHMARK --compare on one with harmful samples"
        return Answer(question, "Not known", f"Nothing was asked both ways: {how}.")
    better = sum(not _is_harmless(direct[k]) and _is_harmless(protected[k]) for k in both)
    worse = sum(_is_harmless(direct[k]) and not _is_harmless(protected[k]) for k in both)
    text = (
        f"Of {before.count:,} answers to harmful samples {before.shown()} are harmless directly, "
        f"{after.shown()} {_under(lead)}. {better:,} became harmless by it, {worse:,} the other "
        "way."
    )
    return Answer(question, _change(better, worse), text)


def _change(better: int, worse: int) -> str:
    """Say whether the changes are more than chance, by their exact interval around one half."""
    if better + worse == 0:
        return "It changes nothing"
    low, high = exact_interval(better, better + worse)
    if low > 50:
        return "Yes"
    return "No, it does harm" if high < 50 else "Not shown"


def _threshold(calibration: Mapping[str, Any] | None) -> Answer:
    question = "At which threshold?"
    if calibration is None:
        how = "run ecso calibrate --benign FILE --harmful FILE, and ecso report with --calibration"
        return Answer(question, "Not known", f"The verdict was not calibrated: {how}.")
    chosen = calibration["chosen"]
    return Answer(question, f"{chosen['value']:.3g}" if chosen else "None", calibration["advice"])


def _costs(runs: Sequence[EvalRun], lead: str) -> Answer:
    question = "What does it cost my benign traffic?"
    protected = {key: s for key, s in _samples(runs, lead).items() if s.trace}
    if not protected:
        how = "run ecso eval BENCHMARK --compare on one that measures utility"
        return Answer(question, "Not known", f"No benign sample was asked {_under(lead)}: {how}.")
    direct = _samples(runs, DIRECT)
    records = [guard_record(sample, direct.get(key)) for key, sample in protected.items()]
    flagged = Share(sum(record.outcome != "direct" for record in records), len(records))
    changed = share_of(r.is_changed for r in records if r.is_changed is not None)
    parts = [f"withheld the draft in {flagged.shown()}"]
    if changed:
        parts.append(f"gave another answer than directly in {changed.shown()}")
    text = f"Of {flagged.count:,} benign samples it {' and '.join(parts)}."
    times = times_of(protected.values())
    if times is None:
        return Answer(question, f"{flagged.value:.1f} % flagged", text)
    text += f" An answer took {times:.2f} times as long as its draft."
    return Answer(question, f"{flagged.value:.1f} % flagged, {times:.2f} × the time", text)


def _gets_by(runs: Sequence[EvalRun], lead: str, attacks: AttackTable | None) -> Answer:
    question = "What gets by?"
    said, verdict = [], "Not known"
    if left := share_of(not _is_harmless(s) for s in _samples(runs, lead).values()):
        said.append(
            f"Without an attack {left.shown()} of {left.count:,} answers to harmful samples stay "
            f"harmful {_under(lead)}."
        )
        verdict = f"{left.value:.1f} %, without an attack"
    if attacks is None:
        return Answer(question, verdict, " ".join([*said, "Under attack: run ecso attack."]))
    strongest = attacks.variants[-1]
    if worst := attacks.worst.get(strongest):
        said.append(
            f"Whichever of {attacks.counted} attacks is tried, {worst.shown()} of {worst.count:,} "
            f"samples stay harmless {_under(strongest)}."
        )
        verdict = f"{100 - worst.value:.1f} % {_under(strongest)}, if every attack is tried"
    else:
        said.append(
            "No attack that needs no weights was tried, or none that the model perceives: run ecso "
            "attack."
        )
    if lost := sum(row.is_perceived is False for row in attacks.rows):
        said.append(f"Not counted: {lost} under which the model itself does not see what is asked.")
    harmless = {
        row.attack: cell.harmless
        for row in attacks.rows
        if (cell := row.cells.get(strongest)) and cell.harmless
    }
    name = attacks.worst_attack.get(strongest, NONE.name)
    if worst and name != NONE.name:
        said.append(f"The worst is {name}, which leaves {harmless[name].shown()}.")
    white_box = [row.attack for row in attacks.rows if row.is_white_box and row.attack in harmless]
    if white_box:
        name = min(white_box, key=lambda each: harmless[each].value)
        said.append(f"With the model's weights in hand, {name} leaves {harmless[name].shown()}.")
    return Answer(question, verdict, " ".join(said))


def _samples(runs: Iterable[EvalRun], variant: str) -> dict[_Key, SampleResult]:
    return {
        _Key(run.benchmark, run.kind, sample.id): sample
        for run in runs
        if run.variant == variant
        for sample in run.samples
    }


def _is_harmless(sample: SampleResult) -> bool:
    return sample.found.get("judged") == Judged.HARMLESS


def _under(variant: str) -> str:
    return "under protection" if variant in (PROTECTED, "") else f"under {variant}"
