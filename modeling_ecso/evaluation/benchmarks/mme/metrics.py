"""MME: accuracy, accuracy+, perception and cognition.

Accuracy is the share of questions answered right, accuracy+ the share of images with both right;
a category scores their sum, up to 200, and perception and cognition are sums over categories. An
answer that is neither yes nor no is wrong.

Source: the calculator of MME, github.com/BradyFU/Awesome-Multimodal-Large-Language-Models, branch
Evaluation, tools/eval_tool.zip.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ...benchmark import RunFigure
from ...eval_run import EvalRun
from ...metrics.figure import Figure, mean_of, sum_of
from ...samples import SampleResult
from .reader import OFFICIAL


PERCEPTION = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION = (
    "commonsense_reasoning",
    "numerical_calculation",
    "text_translation",
    "code_reasoning",
)


@dataclass(frozen=True)
class MMERecord:
    """One question and what was answered.

    Args:
        category: One of the fourteen.
        image: The image's name; two records share it.
        answer: ``Yes`` or ``No``.
        prediction: What the model said.
    """

    category: str
    image: str
    answer: str
    prediction: str


@dataclass(frozen=True)
class MMEScores:
    """The figures of one run.

    Args:
        accuracy: Of each category, up to 100.
        accuracy_plus: Of each category, up to 100.
        score: Of each category, up to 200.
        perception: Sum over the perception categories that are there, up to 2000; None where none
            is.
        cognition: Sum over the cognition categories that are there, up to 800; None where none is.
        missing: Categories that are not there.
        neither: Number of answers that are neither yes nor no; they count as wrong.
        incomplete: Number of images left out because one question was not answered.
    """

    accuracy: dict[str, Figure]
    accuracy_plus: dict[str, Figure]
    score: dict[str, Figure]
    perception: Figure | None
    cognition: Figure | None
    missing: tuple[str, ...]
    neither: int
    incomplete: int


def read_yes_or_no(prediction: str) -> str:
    """Return ``yes``, ``no`` or ``other`` as the official calculator reads an answer.

    Only the first four characters count, and "no" is looked for anywhere in them, so that "not",
    "know" and "none" all read as no.
    """
    text = prediction.lower()
    if text in ("yes", "no"):
        return text
    beginning = text[:4]
    if "yes" in beginning:
        return "yes"
    return "no" if "no" in beginning else "other"


def mme_scores(records: Iterable[MMERecord]) -> MMEScores:
    """Return the scores of answered questions."""
    images: dict[tuple[str, str], list[bool]] = defaultdict(list)
    neither = 0
    for record in records:
        read = read_yes_or_no(record.prediction)
        neither += read == "other"
        images[record.category, record.image].append(read == record.answer.lower())
    pairs: dict[str, list[list[bool]]] = defaultdict(list)
    for (category, _), rights in images.items():
        if len(rights) == 2:
            pairs[category].append(rights)
    accuracy = {c: mean_of([sum(pair) / 2 for pair in pairs[c]]) for c in pairs}
    accuracy_plus = {c: mean_of([float(all(pair)) for pair in pairs[c]]) for c in pairs}
    # Over images, so that the standard error knows that the two parts go together.
    score = {c: mean_of([sum(pair) / 2 + all(pair) for pair in pairs[c]]) for c in pairs}
    return MMEScores(
        accuracy=accuracy,
        accuracy_plus=accuracy_plus,
        score=score,
        perception=sum_of([score[c] for c in PERCEPTION if c in score]),
        cognition=sum_of([score[c] for c in COGNITION if c in score]),
        missing=tuple(c for c in PERCEPTION + COGNITION if c not in score),
        neither=neither,
        incomplete=sum(len(rights) != 2 for rights in images.values()),
    )


def scores_of(samples: Iterable[SampleResult]) -> MMEScores:
    """Return the scores of judged samples."""
    return mme_scores(
        MMERecord(
            category=sample.facts["category"],
            image=sample.facts["file"],
            answer=sample.target,
            prediction=sample.answer,
        )
        for sample in samples
    )


def figures(run: EvalRun) -> list[RunFigure]:
    """Return the figures of a run."""
    scores = scores_of(run.samples)
    found = [
        _sum(scores, "perception", scores.perception, PERCEPTION),
        _sum(scores, "cognition", scores.cognition, COGNITION),
    ]
    for category in scores.score:
        found += [
            RunFigure(f"{category}, score", scores.score[category]),
            RunFigure(f"{category}, accuracy", scores.accuracy[category]),
            RunFigure(f"{category}, accuracy+", scores.accuracy_plus[category]),
        ]
    return found


def _sum(
    scores: MMEScores, name: str, figure: Figure | None, categories: tuple[str, ...]
) -> RunFigure:
    there = [category for category in categories if category not in scores.missing]
    gaps = []
    if len(there) < len(categories):
        gaps.append(f"{len(there)} of {len(categories)} categories")
    if scores.incomplete:
        gaps.append(f"images left out for a missing answer: {scores.incomplete}")
    is_official = len(there) == len(categories) and all(
        scores.score[category].count == OFFICIAL[category] for category in there
    )
    return RunFigure(name, figure, True, ", ".join(gaps), is_official)
