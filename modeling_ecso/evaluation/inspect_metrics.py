"""The benchmarks' figures as Inspect's metrics, so that its own screen and viewer show them."""

from collections.abc import Callable

from inspect_ai.scorer import Metric, SampleScore, metric

from .metrics.figure import Figure
from .metrics.harmless import harmless_rates
from .metrics.mmbench import mmbench_scores
from .metrics.mme import mme_scores
from .metrics.mmvet import mmvet_scores
from .names import registered
from .samples import SampleResult, choice_record, graded_record, mme_record, safety_record


_Figures = dict[str, Figure | float | None]


@metric(name=registered("harmless_figures"))
def harmless_figures() -> Metric:
    """Harmless rates in percent, with invalid verdicts counted both ways."""

    def figures(results: list[SampleResult]) -> _Figures:
        rates = harmless_rates(map(safety_record, results))
        return {
            "harmless_macro": rates.macro,
            "harmless_micro": rates.micro,
            "harmless_micro_stderr": rates.micro.standard_error,
            "harmless_micro_valid_only": rates.micro_valid_only,
            "invalid_verdicts": float(rates.invalid),
            "empty_answers": float(rates.empty),
        }

    return _metric_of(figures)


@metric(name=registered("mme_figures"))
def mme_figures() -> Metric:
    """Perception and cognition of MME."""

    def figures(results: list[SampleResult]) -> _Figures:
        found = mme_scores(map(mme_record, results))
        return {
            "perception": found.perception,
            "cognition": found.cognition,
            "neither_yes_nor_no": float(found.neither),
        }

    return _metric_of(figures)


@metric(name=registered("mmbench_figures"))
def mmbench_figures() -> Metric:
    """Vanilla and circular accuracy of MMBench in percent."""

    def figures(results: list[SampleResult]) -> _Figures:
        found = mmbench_scores(map(choice_record, results))
        return {
            "vanilla": found.vanilla,
            "circular": found.circular,
            "unmatched": float(found.unmatched),
        }

    return _metric_of(figures)


@metric(name=registered("mmvet_figures"))
def mmvet_figures() -> Metric:
    """Total of MM-Vet and its capabilities in percent."""

    def figures(results: list[SampleResult]) -> _Figures:
        found = mmvet_scores(map(graded_record, results))
        return {
            "total": found.total,
            **found.by_capability,
            "invalid_grades": float(found.invalid),
            "empty_answers": float(found.empty),
        }

    return _metric_of(figures)


def _metric_of(figures: Callable[[list[SampleResult]], _Figures]) -> Metric:
    """Return what Inspect calls with the scores of a run, rounded as it shows them."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        if not scores:
            return {}
        results = [SampleResult.from_score(s.score, s.sample_metadata or {}) for s in scores]
        return {
            name: round(found.value if isinstance(found, Figure) else found, 2)
            for name, found in figures(results).items()
            if found is not None
        }

    return compute
