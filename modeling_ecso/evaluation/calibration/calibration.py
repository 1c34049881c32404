"""`calibrated`: scores of drafts → a `Calibration`: threshold, curves, table, price, advice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from ...events_ecso import Step, Trace
from ...settings_ecso import ECSOConfig
from ..metrics.interval import exact_interval
from .curves import Area, CurvePoint, area_under_roc, brier_score, curve
from .scores import DraftScore
from .threshold import (
    DEFAULT,
    Threshold,
    enough_benign,
    from_logit,
    is_shown,
    logit,
    measured,
    threshold_within,
)


FORMAT = 1
# Shown beside the chosen one.
_OTHERS = (0.05, 0.1, 0.25, DEFAULT, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Contextual:
    """Contextual calibration: what the model says of a draft without content is taken off.

    It is a constant on the logit, so it moves the threshold and changes no order: the area under
    the curve and what any budget allows stay as they are. It helps where there are too few samples
    to choose a threshold by, and makes p(unsafe) mean what it says.

    Args:
        p_content_free: p(unsafe) of a draft without content.
        threshold: The threshold on the uncalibrated p(unsafe) that is a calibrated half.
        plain_error: Brier score of p(unsafe), 0 is best; None without harmful drafts.
        calibrated_error: The same of the calibrated one.

    Source: arXiv 2102.09690; for guard models arXiv 2410.10414.
    """

    p_content_free: float
    threshold: Threshold
    plain_error: float | None
    calibrated_error: float | None

    @property
    def helps(self) -> bool | None:
        """Whether the calibrated p(unsafe) is nearer to the truth; None where nobody can tell."""
        if self.plain_error is None or self.calibrated_error is None:
            return None
        return self.calibrated_error < self.plain_error


@dataclass(frozen=True)
class Price:
    """What protection costs, in milliseconds for each answer, as medians.

    Args:
        draft_ms: The draft, which is the unprotected answer.
        verdict_ms: The verdict on it, which is what a benign answer pays.
        withheld_ms: All four steps, of an answer that is withheld, asked one at a time; None where
            none was.
        alone_ms: The draft of the same answers, asked one at a time; None where none was.
    """

    draft_ms: float
    verdict_ms: float
    withheld_ms: float | None = None
    alone_ms: float | None = None


@dataclass(frozen=True)
class Calibration:
    """All that was found about one model.

    Args:
        model: Its name.
        preset: The preset that was calibrated.
        budget: Share of benign drafts that may be withheld, in percent.
        benign: Number of benign drafts.
        harmful: Number of harmful drafts that the model did not decline by itself.
        declined: Number of harmful pairs that the model declined by itself; they have no harmful
            draft that a verdict could find.
        unclear: Number of benign drafts without a verdict, withheld at every threshold.
        chosen: The threshold; None where none keeps the budget.
        area: Under the ROC curve; None without harmful drafts.
        curve: Its points, and those of precision and recall; empty without harmful drafts.
        table: What other thresholds do.
        contextual: None where the model says neither yes nor no of a draft without content.
        price: What it costs.
    """

    model: str
    preset: str
    budget: float
    benign: int
    harmful: int
    declined: int
    unclear: int
    chosen: Threshold | None
    area: Area | None
    curve: tuple[CurvePoint, ...]
    table: tuple[Threshold, ...]
    contextual: Contextual | None
    price: Price

    @property
    def is_shown(self) -> bool:
        """Whether so many benign drafts show that the budget is kept, at 95 %."""
        return self.chosen is not None and is_shown(self.budget, self.chosen)

    @property
    def benign_wanted(self) -> int:
        """How many benign drafts it takes to show the budget, if none is withheld."""
        return enough_benign(self.budget)

    @property
    def is_better_than_chance(self) -> bool | None:
        """Whether the verdict tells harmful from benign at all; None without harmful drafts."""
        return None if self.area is None else self.area.low > 0.5

    def with_price(self, price: Price) -> "Calibration":
        """Return the same with another price."""
        return replace(self, price=price)

    def ecso_config(self) -> dict[str, Any] | None:
        """Return the settings of the protocol, as ``ecso=`` takes them; None: there are none."""
        if self.chosen is None or self.is_better_than_chance is False:
            return None
        changes = {"preset": self.preset, "unsafe_threshold": self.chosen.value}
        if ECSOConfig.from_preset(self.preset).verdict_rule != "logits":
            changes |= {
                "verdict_rule": "logits",
                "speculative_verdict": None,
                "detect_max_new_tokens": 1,
            }
        return changes


def calibrated(
    model: str,
    preset: str,
    budget: float,
    benign: Sequence[DraftScore],
    harmful: Sequence[DraftScore],
    p_content_free: float | None,
) -> Calibration:
    """Return what the scores say.

    Args:
        model: Name of the model.
        preset: The preset that is calibrated.
        budget: Share of benign drafts that may be withheld, in percent.
        benign: Scores of benign drafts, at least one.
        harmful: Scores of the drafts of harmful pairs, perhaps none.
        p_content_free: p(unsafe) of a draft without content; None where it is not known.
    """
    low = [draft.score for draft in benign]
    high = [draft.score for draft in harmful if not draft.declines]
    return Calibration(
        model=model,
        preset=preset,
        budget=budget,
        benign=len(benign),
        harmful=len(high),
        declined=len(harmful) - len(high),
        unclear=sum(draft.p_unsafe is None for draft in benign),
        chosen=threshold_within(budget, low, high),
        area=area_under_roc(low, high) if high else None,
        curve=tuple(curve(low, high)) if high else (),
        table=tuple(measured(value, low, high) for value in _OTHERS),
        contextual=_contextual(p_content_free, low, high),
        price=Price(
            median(draft.direct_ms for draft in benign), median(draft.detect_ms for draft in benign)
        ),
    )


def _contextual(
    p_content_free: float | None, benign: Sequence[float], harmful: Sequence[float]
) -> Contextual | None:
    if p_content_free is None or not 0 < p_content_free < 1:
        return None
    offset = logit(p_content_free)

    def moved(scores: Sequence[float]) -> list[float]:
        return [s if s > 1 else from_logit(logit(s) - offset) for s in scores]

    return Contextual(
        p_content_free,
        measured(p_content_free, benign, harmful),
        brier_score(benign, harmful) if harmful else None,
        brier_score(moved(benign), moved(harmful)) if harmful else None,
    )


def withheld_price(price: Price, traces: Sequence[Trace]) -> Price:
    """Return the price with that of answers that were withheld, from their traces."""
    withheld = [trace for trace in traces if trace.draft_withheld]
    if not withheld:
        return price
    totals = [sum(record.milliseconds for record in trace.steps) for trace in withheld]
    drafts = [
        sum(record.milliseconds for record in trace.steps if record.step is Step.DIRECT)
        for trace in withheld
    ]
    return Price(price.draft_ms, price.verdict_ms, median(totals), median(drafts))


def flagged_interval_text(threshold: Threshold, count: int) -> str:
    """Return false alarms with their interval as a sentence has them."""
    return f"{_percent(threshold.flagged, count)} ({threshold.flagged_interval.shown()})"


def advice(found: Calibration) -> str:
    """Return in one sentence what to do with this model."""
    if found.is_better_than_chance is False:
        return "This model's verdict is no better than chance: do not rely on it."
    budget = f"{found.budget:g} %"
    if found.chosen is None:
        return (
            f"No threshold keeps false alarms within {budget}: this model withholds more of the "
            "benign drafts even when it must be certain."
        )
    caveat = "" if found.is_shown else _too_few(found)
    alarms = f"{flagged_interval_text(found.chosen, found.benign)} false alarms"
    if found.chosen.found is None or found.chosen.found_interval is None:
        return (
            f"At threshold {found.chosen.value:.3g} ECSO raises {alarms}; how much of the harmful "
            f"it finds is not known without --harmful.{caveat}"
        )
    share = _percent(found.chosen.found, found.harmful)
    return (
        f"At threshold {found.chosen.value:.3g} ECSO finds {share} of the harmful drafts "
        f"({found.chosen.found_interval.shown()}) at {alarms}.{caveat}"
    )


def _too_few(found: Calibration) -> str:
    """Say that the samples do not show the budget, and how many it takes."""
    if found.benign < found.benign_wanted:
        return (
            f" {found.benign} benign samples are too few to show {found.budget:g} %: it takes "
            f"{found.benign_wanted}."
        )
    return f" More benign samples are needed to show that it stays within {found.budget:g} %."


def _percent(hits: int, count: int) -> str:
    return f"{100 * hits / count:.1f} %"


def calibration_to_json(found: Calibration) -> dict[str, Any]:
    """Return everything as plain values, for a file and for the report."""
    chosen = None if found.chosen is None else _threshold_to_json(found, found.chosen)
    contextual = found.contextual
    return {
        "format": FORMAT,
        "model": found.model,
        "preset": found.preset,
        "budget": found.budget,
        "advice": advice(found),
        "ecso_config": found.ecso_config(),
        "benign": found.benign,
        "harmful": found.harmful,
        "declined": found.declined,
        "unclear": found.unclear,
        "is_shown": found.is_shown,
        "benign_wanted": found.benign_wanted,
        "is_better_than_chance": found.is_better_than_chance,
        "chosen": chosen,
        "area": found.area and {"value": found.area.value, "error": found.area.standard_error},
        "curve": [point._asdict() for point in found.curve],
        "table": [_threshold_to_json(found, threshold) for threshold in found.table],
        "contextual": contextual
        and {
            "p_content_free": contextual.p_content_free,
            "threshold": _threshold_to_json(found, contextual.threshold),
            "plain_error": contextual.plain_error,
            "calibrated_error": contextual.calibrated_error,
            "helps": contextual.helps,
        },
        "price": vars(found.price),
    }


def _threshold_to_json(found: Calibration, threshold: Threshold) -> dict[str, Any]:
    def share(hits: int | None, count: int) -> dict[str, Any] | None:
        if hits is None:
            return None
        low, high = exact_interval(hits, count)
        value = 100 * hits / count
        return {"hits": hits, "count": count, "value": value, "low": low, "high": high}

    return {
        "value": threshold.value,
        "flagged": share(threshold.flagged, found.benign),
        "found": share(threshold.found, found.harmful),
    }
