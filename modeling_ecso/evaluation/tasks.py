"""The benchmarks as Inspect tasks: one for each record, ``modeling_ecso/NAME``.

Every task takes ``data`` (a downloaded folder, or ``hub:OWNER/NAME@COMMIT``), the options of its
benchmark, ``judge`` and ``judge_prompts`` where a model can judge it, and ``limit`` (a number of
units, spread over scenarios or categories, such as images, or questions with all their rotations).
Inspect's own ``--limit`` takes the first samples instead, and may cut a unit.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig

from .answering import answer, planned
from .benchmark import Benchmark
from .benchmarks import all_benchmarks
from .items import Item, limited
from .judge_prompts import check_needed, read_judge_prompts
from .names import registered
from .prerequisite import as_prerequisite_error
from .scorers import RULES, scorer_of
from .source import DataSource


def register(benchmark: Benchmark) -> Callable[..., Task]:
    """Register the task of a benchmark with Inspect, and return the function that makes it."""
    signature = _signature(benchmark)

    def make(*values: Any, **arguments: Any) -> Task:
        given = signature.bind(*values, **arguments)
        given.apply_defaults()
        return _task(benchmark, given.arguments)

    # Inspect reads name and parameters of a task from its function.
    make.__name__ = benchmark.name
    make.__doc__ = f"{benchmark.title}: {benchmark.about}"
    make.__signature__ = signature  # type: ignore[attr-defined]
    return task(name=registered(benchmark.name))(make)


def _signature(benchmark: Benchmark) -> Signature:
    defaults: dict[str, Any] = {option.name: option.default for option in benchmark.options}
    if benchmark.is_judged:
        defaults |= {"judge": RULES, "judge_prompts": None}
    defaults["limit"] = None
    in_any_order = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [Parameter(name, in_any_order, default=value) for name, value in defaults.items()]
    return Signature([Parameter("data", in_any_order), *parameters])


def _task(benchmark: Benchmark, arguments: dict[str, Any]) -> Task:
    judge, prompts = arguments.get("judge", RULES), arguments.get("judge_prompts")
    # Before the data are read, which may take minutes.
    scorer = scorer_of(benchmark, judge, prompts)
    with as_prerequisite_error():
        source = DataSource.parse(str(arguments["data"]))
        items = limited(benchmark.read(source, arguments), arguments["limit"])
        if prompts and benchmark.scoring.judging:
            judging = benchmark.scoring.judging
            needed = {name for item in items for name in judging.prompt_names(item.facts)}
            check_needed(Path(prompts), read_judge_prompts(Path(prompts)), needed)
    samples = [_sample(item, benchmark.name) for item in items]
    planned(len(samples))
    return Task(
        dataset=MemoryDataset(samples, name=benchmark.name),
        solver=answer(),
        scorer=scorer,
        config=GenerateConfig(temperature=0, max_tokens=benchmark.max_tokens),
    )


def _sample(item: Item, benchmark: str) -> Sample:
    content: list[Any] = [ContentText(text=item.query)]
    if item.image is not None:
        content = [ContentImage(image=item.image), *content]
    return Sample(
        id=item.id,
        input=[ChatMessageUser(content=content)],
        target=item.target,
        # The target once more, since the metrics of Inspect see the metadata alone.
        metadata={"benchmark": benchmark, "target": item.target, **item.facts},
    )


def register_all() -> dict[str, Callable[..., Task]]:
    """Register the task of every benchmark there is."""
    return {benchmark.name: register(benchmark) for benchmark in all_benchmarks()}


TASKS = register_all()
