"""Plans the runs of `ecso eval` and has Inspect make them: one for each kind and variant."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answering import Watcher, watched_by
from .benchmark import Benchmark
from .benchmarks import get_benchmark
from .eval_run import DIRECT, PROTECTED, UTILITY_SCRIPTS, EvalRun
from .judges import MODEL, RULES
from .judging import judge_role
from .logs import log_files, read_run
from .names import qualified
from .prerequisite import as_data_error


# Arguments of a provider that change nothing of what is answered.
_HOW_IT_IS_MADE = ("batch_size", "share_drafts", "upstream")


@dataclass(frozen=True)
class EvalPlan:
    """One run to make.

    Args:
        benchmark: Its name.
        variant: ``direct``, ``protected`` or the name of a preset.
        model: As Inspect names it.
        arguments: For the task.
        provider_arguments: For the provider.
        judge: Model that judges; None: rules.
        connections: Most requests at a time; None: what the provider says.
        judge_connections: Most requests to the judge at a time; None: what Inspect says.
    """

    benchmark: str
    variant: str
    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    provider_arguments: dict[str, Any] = field(default_factory=dict)
    judge: str | None = None
    connections: int | None = None
    judge_connections: int | None = None

    @property
    def title(self) -> str:
        """What to call it on screen."""
        kind = get_benchmark(self.benchmark).kind_of(self.arguments, default=False)
        attack = self.arguments.get("attack") or ""
        attack = f"{attack.count(',') + 1} attacks" if "," in attack else attack
        return " ".join(part for part in (self.benchmark, kind, attack, self.variant) if part)

    @property
    def key(self) -> str:
        """What two runs of the same plan have in common, however they are made."""
        told = {k: v for k, v in self.provider_arguments.items() if k not in _HOW_IT_IS_MADE}
        parts = [self.benchmark, self.variant, self.model, self.arguments, told]
        return json.dumps([*parts, self.judge], sort_keys=True)


def provider_arguments(
    variant: str,
    keep_drafts: bool,
    batch_size: int | None,
    ecso_config: dict[str, Any] | None = None,
    share_drafts: bool = False,
    upstream: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the arguments of our providers for a variant.

    Args:
        variant: ``direct``, ``protected``, the name of a preset, or of a file of settings.
        keep_drafts: Whether unsafe drafts and captions are kept.
        batch_size: Most requests that are answered together; None: what suits the model.
        ecso_config: What the file says that the variant is named after.
        share_drafts: Whether direct answers are the drafts of the protected runs.
        upstream: The servers, for ``ecso-server``.
    """
    arguments: dict[str, Any] = {"batch_size": batch_size} if batch_size else {}
    if upstream:
        arguments["upstream"] = list(upstream)
    if share_drafts:
        arguments["share_drafts"] = True
    if variant == DIRECT:
        return {"variant": DIRECT, **arguments}
    arguments = {"variant": PROTECTED, **arguments}
    if keep_drafts:
        arguments["keep_draft"] = True
    if ecso_config is not None:
        return {**arguments, "ecso_config": ecso_config}
    if variant == UTILITY_SCRIPTS:
        return {**arguments, "preset": "reference", "image_in_safe_step": True}
    return arguments if variant == PROTECTED else {**arguments, "preset": variant}


def make_run(plan: EvalPlan, log_dir: Path, begun: EvalRun | None, watcher: Watcher) -> EvalRun:
    """Make a run, or finish one that was begun; return what its log holds.

    Args:
        plan: What to run.
        log_dir: Where the log goes.
        begun: A run of the same plan to resume: a complete one is taken as it is, of an incomplete
            one only what is missing is asked.
        watcher: Is told how far it is.

    Raises:
        DataError: The data, the model or a setting cannot be used.
    """
    from inspect_ai import eval, eval_retry
    from inspect_ai.log import read_eval_log

    if begun is not None and begun.is_complete:
        return begun
    common: dict[str, Any] = {
        "log_dir": str(log_dir),
        "display": "none",
        "ctl_server": False,
        "log_images": False,
        "log_realtime": False,
        "score_display": False,
        "log_level": "error",
        # Every sample is tried; a log with a failed one then counts as one to be resumed.
        "fail_on_error": True,
        "continue_on_fail": True,
    }
    with as_data_error(), watched_by(watcher):
        if begun is not None:
            for _ in begun.samples:
                watcher.on_answer()
            log = read_eval_log(str(begun.file))
            log.eval.model_args |= plan.provider_arguments  # the size of a batch may be another
            logs = eval_retry(
                log,
                max_connections=plan.connections,
                max_samples=plan.connections,
                **common,
            )
        else:
            logs = eval(
                qualified(plan.benchmark),
                model=plan.model,
                model_args=plan.provider_arguments,
                model_roles=judge_role(plan.judge, plan.judge_connections),
                task_args=plan.arguments,
                metadata={"plan": plan.key, "variant": plan.variant},
                max_connections=plan.connections,
                max_samples=plan.connections,
                **common,
            )
    # Inspect keeps what was answered and returns as if it were done.
    if not logs or logs[0].status == "cancelled":
        raise KeyboardInterrupt
    return read_run(Path(logs[0].location.removeprefix("file://")))


def task_arguments(
    benchmark: Benchmark, options: dict[str, Any], judge: str | None, prompts: str | None
) -> dict[str, Any]:
    """Return the arguments of a task: the options that are set, and the judge where it has one."""
    arguments = {name: value for name, value in options.items() if value is not None}
    if benchmark.is_judged:
        arguments["judge"] = MODEL if judge else RULES
        if prompts:
            arguments["judge_prompts"] = prompts
    return arguments


def begun_run(plan: EvalPlan, log_dir: Path) -> EvalRun | None:
    """Return the newest run of the same plan, a complete one before all others; None: none.

    Raises:
        DataError: A log cannot be read.
    """
    from inspect_ai.log import read_eval_log

    files = log_files(log_dir) if log_dir.is_dir() else []
    runs = [
        read_run(file)
        for file in files
        if (read_eval_log(str(file), header_only=True).eval.metadata or {}).get("plan") == plan.key
    ]
    return max(runs, key=lambda run: (run.is_complete, run.moment), default=None)
