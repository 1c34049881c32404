"""The records' scoring as Inspect's scorers and metrics: ask the judge and keep what it said.

Each score carries the judge's name, its raw text and how that was read; `logs.py` reads them back.
A score of an answer whose verdict could not be read is 0, and says so in its metadata.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from inspect_ai.model import ContentImage
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from .benchmark import Benchmark
from .benchmarks import get_benchmark
from .judge_prompts import check_needed, read_judge_prompts
from .judges import MODEL, RULES, JudgeReply, ask_judge
from .metrics.figure import Figure
from .names import registered
from .prerequisite import PrerequisiteError, as_prerequisite_error
from .samples import SampleResult
from .scoring import Finding, JudgePrompt, Judging
from .verdict_book import open_book


def scorer_of(benchmark: Benchmark, judge: str = RULES, judge_prompts: str | None = None) -> Scorer:
    """Return the scorer of a benchmark.

    Args:
        benchmark: Its record.
        judge: ``rules``, or ``model`` for the model with the role ``grader``.
        judge_prompts: The published judge file; None: this project's prompts.

    Raises:
        PrerequisiteError: The judge is neither, or its file cannot be used.
    """
    make = registered_scorer(benchmark.scoring.name, benchmark.scoring.metric)
    return make(judge=judge, judge_prompts=judge_prompts) if benchmark.is_judged else make()


@cache
def registered_scorer(name: str, metric_name: str) -> Callable[..., Scorer]:
    """Register a scorer with Inspect, and return the function that makes it.

    Inspect may call on a scorer by its name alone, and benchmarks share names, so what is
    registered learns from each sample which benchmark it is of.

    Args:
        name: Of a record's scoring.
        metric_name: Of the same.
    """

    @scorer(name=registered(name), metrics=[_metric(metric_name)])
    def make(judge: str = RULES, judge_prompts: str | None = None) -> Scorer:
        prompts = _prompts(judge, judge_prompts)

        async def judged(state: TaskState, target: Target) -> Score:
            scoring = get_benchmark(state.metadata["benchmark"]).scoring
            answer, facts = state.output.completion, state.metadata
            judging = scoring.judging if judge == MODEL else None
            if judging is None or not judging.asks_about_all:
                finding = scoring.by_rule(answer, target.text, facts)
                if judging is None or finding.was_read:
                    return _score(answer, finding.rule or scoring.rule, "", finding)
            if unasked := judging.unasked(answer):
                return _score(answer, scoring.rule, "", unasked)
            if judge_prompts:  # never ours in place of one that the judge file lacks
                with as_prerequisite_error():
                    check_needed(Path(judge_prompts), prompts, judging.prompt_names(facts))
            about = _Judged(
                answer, target.text, facts, _images(state) if judging.sees_image else ()
            )
            reply, finding = await _asked(judging, prompts, about)
            said: dict[str, Any] = {"tries": reply.tries} if judging.tries > 1 else {}
            asked = judging.prompt_name(facts)
            said |= {"prompt": asked, "prompt_is_published": prompts[asked].is_published}
            return _score(answer, reply.judge, reply.text, finding, **said)

        async def score(state: TaskState, target: Target) -> Score:
            book, sample = open_book(), str(state.sample_id)
            if book is None:
                return await judged(state, target)
            if known := book.known(sample, state.epoch):
                return known
            try:
                found = await judged(state, target)
            except PrerequisiteError:
                raise  # the same for every answer, and not the judge's fault
            except Exception as error:
                # The other answers are judged all the same; whoever opened the book looks here.
                book.failures[type(error).__name__] += 1
                return Score(value=0)
            book.keep(sample, state.epoch, found)
            return found

        return score

    return make


class _Judged(NamedTuple):
    """What a judge is asked about."""

    answer: str
    target: str
    facts: dict[str, Any]
    images: Sequence[ContentImage]


async def _asked(
    judging: Judging, prompts: dict[str, JudgePrompt], about: _Judged
) -> tuple[JudgeReply, Finding]:
    """Ask a judge all there is to ask about an answer; return what it said and what was found."""
    reply, finding = await _asked_once(judging, prompts, about)
    for other in judging.further:
        other_reply, other_finding = await _asked(other, prompts, about)
        text = f"{reply.text}\n\n{other_reply.text}"
        reply = JudgeReply(reply.judge, text, max(reply.tries, other_reply.tries))
        finding = finding.with_other(other_finding)
    return reply, finding


async def _asked_once(
    judging: Judging, prompts: dict[str, JudgePrompt], about: _Judged
) -> tuple[JudgeReply, Finding]:
    """Ask a judge, again while its reply cannot be read, from the third try on warmer each time."""
    answer, target, facts, images = about
    prompt = prompts[judging.prompt_name(facts)]
    fields = judging.fields(answer, target, facts)
    reply = await ask_judge(prompt, fields, images=images)
    finding = judging.read(reply.text, target, facts)
    for tries in range(2, judging.tries + 1):
        if finding.was_read:
            break
        again = await ask_judge(prompt, fields, 0.5 * (tries - 2), judging.reminder, images)
        reply = JudgeReply(again.judge, again.text, tries)
        finding = judging.read(reply.text, target, facts)
    return reply, finding


def _images(state: TaskState) -> list[ContentImage]:
    """Return the images that the model was asked about."""
    return [
        part
        for message in state.messages
        if message.role == "user" and not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, ContentImage)
    ]


def _prompts(judge: str, file: str | None) -> dict[str, JudgePrompt]:
    if judge not in (RULES, MODEL):
        raise PrerequisiteError(
            f"judge {judge!r} is unknown; give rules, or model with --model-role grader=..."
        )
    with as_prerequisite_error():
        return read_judge_prompts(Path(file) if file else None)


def _score(answer: str, judge: str, raw: str, finding: Finding, **said: Any) -> Score:
    read = {"judge": judge, "raw": raw, "parse": finding.parse.value}
    return Score(
        value=finding.value,
        answer=answer,
        explanation=raw or None,
        metadata={**read, **finding.found, **said},
    )


def _metric(name: str) -> Metric:
    """Return the figures of a benchmark as a metric, so that Inspect's own screen shows them.

    Where each sample was asked several times, they are the mean over the epochs: a figure is of
    answers, and what Inspect makes of several answers to one question is none.
    """

    @metric(name=registered(name), scores="unreduced")
    def make() -> Metric:
        def compute(scores: list[SampleScore]) -> dict[str, float]:
            by_figure: dict[str, list[float]] = defaultdict(list)
            for epoch in _epochs(scores):
                for figure, value in _totals(epoch).items():
                    by_figure[figure].append(value)
            return {figure: round(fmean(values), 2) for figure, values in by_figure.items()}

        return compute

    return make()


def _epochs(scores: list[SampleScore]) -> list[list[SampleScore]]:
    """Return the scores in groups in which each sample stands once."""
    seen: Counter[Any] = Counter()
    epochs: list[list[SampleScore]] = []
    for score in scores:
        if seen[score.sample_id] == len(epochs):
            epochs.append([])
        epochs[seen[score.sample_id]].append(score)
        seen[score.sample_id] += 1
    return epochs


def _totals(scores: list[SampleScore]) -> dict[str, float]:
    results = [SampleResult.from_score(s.score, s.sample_metadata or {}) for s in scores]
    totals = get_benchmark(results[0].facts["benchmark"]).scoring.totals(results)
    return {
        name: found.value if isinstance(found, Figure) else found
        for name, found in totals.items()
        if found is not None
    }
