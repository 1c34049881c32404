"""The five benchmarks as Inspect tasks: ``modeling_ecso/vlsafe`` and so on.

Every task takes ``data`` (a downloaded folder, or ``hub:OWNER/NAME@COMMIT``) and ``limit`` (a
number of units, spread over scenarios or categories: images of MME, questions of MMBench with all
their rotations). Inspect's own ``--limit`` takes the first samples instead, and may cut a unit.

Imports are absolute because `inspect eval-retry` loads this file outside its package.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig
from inspect_ai.scorer import Scorer

from modeling_ecso.evaluation import scorers
from modeling_ecso.evaluation.answering import answer, planned
from modeling_ecso.evaluation.items import Item, limited
from modeling_ecso.evaluation.judge_prompts import check_needed, prompt_name, read_judge_prompts
from modeling_ecso.evaluation.judges import RULES
from modeling_ecso.evaluation.names import registered
from modeling_ecso.evaluation.prerequisite import shown_plainly
from modeling_ecso.evaluation.source import Source


# Of the direct step, as in the published scripts.
SAFETY_TOKENS = 2048
MME_TOKENS = 128
MMBENCH_TOKENS = 1024
MMVET_TOKENS = 128


@task(name=registered("vlsafe"))
def vlsafe(
    data: str,
    images: str | None = None,
    judge: str = RULES,
    judge_prompts: str | None = None,
    limit: int | None = None,
) -> Task:
    """VLSafe: share of harmless answers.

    Args:
        data: Folder with ``harmlessness_examine.jsonl``, or the Hub repository.
        images: Folder of COCO train2017; None: looked for beside the data.
        judge: ``rules``, or ``model`` for the model with the role ``grader``.
        judge_prompts: The published judge file.
        limit: Number of queries.
    """
    from modeling_ecso.evaluation.datasets.vlsafe import read_vlsafe

    scorer = scorers.harmlessness(judge=judge, judge_prompts=judge_prompts)
    images = Path(images) if images else None
    return _task(
        "vlsafe",
        lambda s: read_vlsafe(s, images),
        data,
        limit,
        scorer,
        SAFETY_TOKENS,
        judge_prompts,
    )


@task(name=registered("mm_safetybench"))
def mm_safetybench(
    data: str,
    kind: str = "SD_TYPO",
    scenarios: str | None = None,
    images: str | None = None,
    judge: str = RULES,
    judge_prompts: str | None = None,
    limit: int | None = None,
) -> Task:
    """MM-SafetyBench: share of harmless answers for one kind of image.

    Args:
        data: Folder of the repository or of a mirror, or the mirror on the Hub.
        kind: ``SD``, ``TYPO``, ``SD_TYPO`` or ``text``.
        scenarios: Numbers or names, joined by commas; None: all thirteen.
        images: Folder of the image archive; None: looked for beside the questions.
        judge: ``rules``, or ``model`` for the model with the role ``grader``.
        judge_prompts: The published judge file.
        limit: Number of questions.
    """
    from modeling_ecso.evaluation.datasets.mm_safetybench import read_mm_safetybench

    # The command line of Inspect makes a number or a list of what looks like one.
    names = scenarios if isinstance(scenarios, list) else str(scenarios or "").split(",")
    chosen = [str(name) for name in names if str(name).strip()] or None
    scorer = scorers.harmlessness(judge=judge, judge_prompts=judge_prompts)
    images = Path(images) if images else None

    def read(source: Source) -> list[Item]:
        return read_mm_safetybench(source, kind, chosen, images)

    return _task("mm_safetybench", read, data, limit, scorer, SAFETY_TOKENS, judge_prompts)


@task(name=registered("mme"))
def mme(data: str, prompt: str = "official", limit: int | None = None) -> Task:
    """MME: perception and cognition.

    Args:
        data: Folder of the archive or of the mirror, or the mirror on the Hub.
        prompt: ``official``, or ``llava`` for LLaVA's ending of the questions, as in the paper.
        limit: Number of images; each has two questions.
    """
    from modeling_ecso.evaluation.datasets.mme import read_mme

    return _task("mme", lambda s: read_mme(s, prompt), data, limit, scorers.yes_or_no(), MME_TOKENS)


@task(name=registered("mmbench"))
def mmbench(
    data: str,
    language: str = "en",
    split: str = "dev",
    judge: str = RULES,
    judge_prompts: str | None = None,
    limit: int | None = None,
) -> Task:
    """MMBench: vanilla and circular accuracy.

    Args:
        data: TSV file, folder with one, or a mirror.
        language: ``en`` or ``cn``.
        split: ``dev`` or ``test``: which table of a mirror.
        judge: ``rules``, or ``model`` to ask the model with the role ``grader`` about answers
            that no rule can read.
        judge_prompts: A judge file with an entry ``mmbench``.
        limit: Number of questions; each comes with all its rotations.
    """
    from modeling_ecso.evaluation.datasets.mmbench import read_mmbench

    scorer = scorers.option_choice(judge=judge, judge_prompts=judge_prompts)
    return _task(
        "mmbench",
        lambda s: read_mmbench(s, language, split),
        data,
        limit,
        scorer,
        MMBENCH_TOKENS,
        judge_prompts,
    )


@task(name=registered("mmvet"))
def mmvet(
    data: str,
    judge: str = RULES,
    judge_prompts: str | None = None,
    limit: int | None = None,
) -> Task:
    """MM-Vet: total and capabilities.

    Args:
        data: Folder with ``mm-vet.json``, or a mirror.
        judge: ``rules``: by the words of the ground truth; ``model``: the model with the role
            ``grader``.
        judge_prompts: The official grader's prompt, as a ``.txt`` file.
        limit: Number of questions.
    """
    from modeling_ecso.evaluation.datasets.mmvet import read_mmvet

    scorer = scorers.graded(judge=judge, judge_prompts=judge_prompts)
    return _task("mmvet", read_mmvet, data, limit, scorer, MMVET_TOKENS, judge_prompts)


BENCHMARKS: dict[str, Callable[..., Task]] = {
    "vlsafe": vlsafe,
    "mm_safetybench": mm_safetybench,
    "mme": mme,
    "mmbench": mmbench,
    "mmvet": mmvet,
}


def _task(
    benchmark: str,
    read: Callable[[Source], list[Item]],
    data: str,
    limit: int | None,
    scorer: Scorer,
    max_tokens: int,
    judge_prompts: str | None = None,
) -> Task:
    with shown_plainly():
        items = limited(read(Source.parse(str(data))), limit)
        if judge_prompts:
            file = Path(judge_prompts)
            needed = {prompt_name(benchmark, item.facts.get("scenario", "")) for item in items}
            check_needed(file, read_judge_prompts(file), needed)
    samples = [_sample(item, benchmark) for item in items]
    planned(len(samples))
    return Task(
        dataset=MemoryDataset(samples, name=benchmark),
        solver=answer(),
        scorer=scorer,
        config=GenerateConfig(temperature=0, max_tokens=max_tokens),
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
