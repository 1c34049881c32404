"""Has a judge judge answers, those in a log once more among them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .benchmarks import get_benchmark
from .eval_run import EvalRun
from .files import DataError
from .judges import MODEL, ROLE, RULES
from .logs import read_run
from .prerequisite import as_data_error
from .scorers import scorer_of
from .verdict_book import VerdictBook, keeping_verdicts


def judge_again(
    run: EvalRun,
    judge: str | None,
    prompts: str | None,
    connections: int | None = None,
    on_taken_over: Callable[[int], None] = lambda verdicts: None,
) -> EvalRun:
    """Judge the answers of a log once more, without asking the model again.

    The new log lies beside the old one, which stays as it is. Verdicts are kept as they come: where
    the judge fails on some answers, the next attempt asks about those alone.

    Args:
        run: The run.
        judge: The model that judges; None: rules.
        prompts: The published judge file.
        connections: Most requests to the judge at a time; None: what Inspect says.
        on_taken_over: Called with the number of verdicts of an earlier attempt, if there are some.

    Raises:
        DataError: The benchmark has no judge, or the judge cannot be had or fails.
    """
    from inspect_ai import score
    from inspect_ai.log import read_eval_log, write_eval_log

    benchmark = get_benchmark(run.benchmark)
    if not benchmark.is_judged:
        raise DataError(f"{run.benchmark} is scored by rule alone; there is no judge to change")
    log = read_eval_log(str(run.file))
    name = "".join(c if c.isalnum() else "-" for c in judge or RULES)
    with as_data_error():
        scorer = scorer_of(benchmark, MODEL if judge else RULES, prompts)
    # One for each judge and prompts, so that trying others in between loses nothing.
    asked_by = f"{name}_{Path(prompts).stem}" if prompts else name
    book_file = run.file.with_name(f"{run.file.stem}_{asked_by}.verdicts.jsonl")
    book = VerdictBook(book_file, judge or RULES, prompts)
    if book.taken_over:
        on_taken_over(book.taken_over)
    try:
        with as_data_error(), keeping_verdicts(book):
            scored = score(
                log,
                scorer,
                model_roles=judge_role(judge, connections),
                action="overwrite",
                display="none",
            )
    except DataError:
        raise
    except Exception as error:
        raise DataError(_failed(run, judge, type(error).__name__)) from None
    if book.failures:
        failed = f"{', '.join(sorted(book.failures))}, on {book.failures.total()} answers"
        raise DataError(_failed(run, judge, failed))
    now = datetime.now(UTC)
    # The plan stays behind: it was one with another judge.
    earlier = {k: v for k, v in (scored.eval.metadata or {}).items() if k != "plan"}
    again = {"variant": run.variant, "scored": now.isoformat(), "judge": judge}
    scored.eval.metadata = {**earlier, **again}
    judged = {"judge": MODEL if judge else RULES, "judge_prompts": prompts}
    scored.eval.task_args = {**scored.eval.task_args, **judged}
    file = run.file.with_name(f"{run.file.stem}_{name}_{now:%H%M%S%f}.eval")
    write_eval_log(scored, str(file))
    book.close()
    return read_run(file)


def still_to_judge(
    runs: Sequence[EvalRun], judge: str | None, prompts: str | None
) -> list[EvalRun]:
    """Return the runs that this judge has not judged by these prompts; if it has all, all of them.

    Args:
        runs: The runs, each as it was judged last.
        judge: The model that is to judge; None: rules.
        prompts: The published judge file.
    """
    wanted = {"judge": MODEL if judge else RULES, "judge_prompts": prompts}
    left = [
        run
        for run in runs
        if {name: run.arguments.get(name) for name in wanted} != wanted
        or (judge and judge not in (run.grader or run.judge).split(", "))
    ]
    return left or list(runs)


def _failed(run: EvalRun, judge: str | None, how: str) -> str:
    return (
        f"the judge {judge or RULES} failed ({how}); the earlier verdicts on {run.file.name} "
        "stand, and those that it gave now are kept: the same command asks about the rest"
    )


def judge_role(judge: str | None, connections: int | None = None) -> dict[str, Any] | None:
    """Return the role of a judge as Inspect takes it; None where rules judge.

    Args:
        judge: The model that judges.
        connections: Most requests to it at a time; None: what Inspect says.

    Raises:
        DataError: There is no such model.
    """
    from inspect_ai.model import GenerateConfig, get_model

    if judge is None:
        return None
    try:
        with as_data_error(f"judge {judge}: "):
            model = get_model(judge, config=GenerateConfig(max_connections=connections))
    except DataError:
        raise
    except (ValueError, TypeError) as error:
        raise DataError(f"judge {judge} cannot be had: {error}") from None
    return {ROLE: model}
