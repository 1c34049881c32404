"""The benchmarks as Inspect tasks: one for each record, ``modeling_ecso/NAME``.

Every task takes ``data`` (a downloaded folder, or ``hub:OWNER/NAME@COMMIT``), the options of its
benchmark, ``judge`` and ``judge_prompts`` where a model can judge it, ``limit`` (a number of units,
spread over scenarios or categories, such as images, or questions with all their rotations),
``attack`` (the name of one, or several with commas between), and, where safety is measured,
``harmful_answers`` (a file). Inspect's own ``--limit`` takes the first samples instead, and may cut
a unit.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    get_model,
)

from .answering import answer, planned
from .attack import NONE, Attack, attacked
from .attacks import all_attacks
from .benchmark import Benchmark
from .benchmarks import all_benchmarks
from .files import DataError
from .items import Item, limited
from .judge_prompts import check_needed, read_judge_prompts
from .names import registered
from .prerequisite import as_prerequisite_error
from .safety import told_harmful_answers
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
    if benchmark.measures == "safety":
        defaults["harmful_answers"] = None
    defaults |= {"limit": None, "attack": None}
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
        if arguments.get("harmful_answers"):
            items = told_harmful_answers(items, Path(arguments["harmful_answers"]))
        if arguments["attack"]:
            items = attacked(items, _attacks(arguments["attack"]), _attacked_model)
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


def _attacks(names: str | list[str]) -> list[Attack]:
    """Return the attacks of these names, which the command line of Inspect may have split."""
    known = {attack.name: attack for attack in (NONE, *all_attacks())}
    wanted = names if isinstance(names, list) else str(names).split(",")
    for name in wanted:
        if name not in known:
            raise DataError(f"attack {name!r} is unknown; choose from {', '.join(known)}")
    return [known[name] for name in wanted]


def _attacked_model() -> Any:
    """Return the model that is evaluated, where it is in this process.

    Raises:
        DataError: It is not.
    """
    loaded = getattr(get_model().api, "loaded", None)
    if loaded is None:
        raise DataError("it needs the weights of the model, which are not in this process")
    return loaded


def _sample(item: Item, benchmark: str) -> Sample:
    images = [ContentImage(image=image) for image in item.images]
    content: list[Any] = [*images, ContentText(text=item.query)]
    turns = {
        "follow_ups": list(item.follow_ups),
        "slices": item.slices,
        "answer_tokens": item.answer_tokens,
    }
    return Sample(
        id=item.id,
        input=[ChatMessageUser(content=content)],
        target=item.target,
        # The target once more, since the metrics of Inspect see the metadata alone.
        metadata={
            "benchmark": benchmark,
            "target": item.target,
            **item.facts,
            **{name: value for name, value in turns.items() if value},
        },
    )


def register_all() -> dict[str, Callable[..., Task]]:
    """Register the task of every benchmark there is."""
    return {benchmark.name: register(benchmark) for benchmark in all_benchmarks()}


TASKS = register_all()
