"""MME: two yes-or-no questions about each image, in 14 categories.

Layouts: the official archive (``images/`` and ``questions_answers_YN/`` for five categories, flat
for nine; nested once or twice), and the mirror lmms-lab/MME.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from ...files import DataError, text_in
from ...images import checked_bytes, checked_file
from ...items import Item, check_counts
from ...source import DataSource, image_bytes, read_mirror, text_of


# Images of each category.
OFFICIAL = {
    "existence": 30,
    "count": 30,
    "position": 30,
    "color": 30,
    "posters": 147,
    "celebrity": 170,
    "scene": 200,
    "landmark": 200,
    "artwork": 200,
    "OCR": 20,
    "commonsense_reasoning": 70,
    "numerical_calculation": 20,
    "text_translation": 20,
    "code_reasoning": 20,
}
CATEGORIES = tuple(OFFICIAL)

PROMPTS = ("official", "llava")
_OFFICIAL_ENDINGS = (" Please answer yes or no.", "  Please answer yes or no.")
_LLAVA_ENDING = "\nAnswer the question using a single word or phrase."

_ROOTS = (
    ".",
    "MME_Benchmark",
    "MME_Benchmark_release_version",
    "MME_Benchmark_release_version/MME_Benchmark",
)
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
# In the archive beside the categories; holds the scorer.
_NO_CATEGORY = {"eval_tool"}


def read_mme(source: DataSource, prompt: str = "official") -> list[Item]:
    """Return the questions.

    Args:
        source: Folder, or a mirror.
        prompt: ``official``: as distributed; ``llava``: with LLaVA's ending in place of the
            official one, as in the paper.

    Raises:
        DataError: The data are incomplete or broken, or there is no such prompt.
    """
    if prompt not in PROMPTS:
        raise DataError(f"MME prompt {prompt!r} is unknown; choose from {', '.join(PROMPTS)}")
    is_mirror = source.repo is not None or bool(source.parquet("data/*.parquet"))
    items = _read_mirrored(source, prompt) if is_mirror else _read_folder(source, prompt)
    questions = Counter(item.unit for item in items)
    for unit, number in questions.items():
        if number != 2:
            raise DataError(f"{source.name}, {unit}: {number} questions, MME has two; get it again")
    images = Counter(unit.partition("/")[0] for unit in questions)
    found = {category: images.get(category, 0) for category in CATEGORIES}
    check_counts(found, [OFFICIAL], source.folder, "images")
    return items


def _read_folder(source: DataSource, prompt: str) -> list[Item]:
    root = next(
        (
            folder
            for name in _ROOTS
            if (folder := source.first_of(name)) and any((folder / c).is_dir() for c in CATEGORIES)
        ),
        None,
    )
    if root is None:
        raise DataError(f"{source.name}: none of the 14 categories of MME is in it")
    for folder in sorted(root.iterdir()):
        known = folder.name in CATEGORIES or folder.name in _NO_CATEGORY
        if folder.is_dir() and not known and any(folder.rglob("*.txt")):
            raise DataError(f"{folder}: not a category of MME; remove it or correct its name")
    return [
        item
        for category in CATEGORIES
        if (root / category).is_dir()
        for item in _read_category(root / category, category, prompt)
    ]


def _read_category(folder: Path, category: str, prompt: str) -> list[Item]:
    is_split = (folder / "questions_answers_YN").is_dir()
    questions = folder / "questions_answers_YN" if is_split else folder
    images = folder / "images" if is_split else folder
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; get the data again")
    by_stem = _images_by_stem(images)
    items = []
    for file in sorted(questions.glob("[!.]*.txt")):
        image = by_stem.pop(file.stem, None)
        if image is None:
            raise DataError(f"{file}: there is no image {file.stem}.jpg or .png in {images}")
        lines = [line for line in text_in(file).split("\n") if line.strip()]
        if len(lines) != 2:
            raise DataError(f"{file}: {len(lines)} questions, MME has two; get the data again")
        checked = checked_file(images, image.name, str(file))
        for number, line in enumerate(lines, start=1):
            where = f"{file}, row {number}"
            question, tab, answer = line.partition("\t")
            if not tab:
                raise DataError(f"{where}: no tab between question and answer; get the data again")
            items.append(
                _item(category, image.name, number, question, answer, checked, prompt, where)
            )
    if by_stem:
        raise DataError(f"{next(iter(by_stem.values()))}: there are no questions about it")
    return items


def _images_by_stem(folder: Path) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _IMAGE_ENDINGS and not file.name.startswith("."):
            other = by_stem.setdefault(file.stem, file)
            if other is not file:
                raise DataError(
                    f"{file}: {other.name} beside it is for the same questions; remove one of them"
                )
    return by_stem


def _read_mirrored(source: DataSource, prompt: str) -> list[Item]:
    items = []
    seen: Counter[str] = Counter()
    checked: dict[str, str] = {}
    for where, row in read_mirror(source, config=None, split="test", pattern="data/test*.parquet"):
        category = text_of(row, "category", where)
        if category not in CATEGORIES:
            raise DataError(f"{where}: category {category!r} is unknown")
        name = Path(text_of(row, "question_id", where)).name
        unit = f"{category}/{name}"
        seen[unit] += 1
        if unit not in checked:  # both rows of an image carry it
            checked[unit] = checked_bytes(image_bytes(row.get("image"), where), where)
        answers: dict[str, Any] = {key: text_of(row, key, where) for key in ("question", "answer")}
        items.append(
            _item(
                category,
                name,
                seen[unit],
                answers["question"],
                answers["answer"],
                checked[unit],
                prompt,
                where,
            )
        )
    return items


def _item(
    category: str,
    name: str,
    number: int,
    question: str,
    answer: str,
    image: str,
    prompt: str,
    where: str,
) -> Item:
    answer = answer.strip()
    if answer.lower() not in ("yes", "no"):
        raise DataError(f"{where}: the answer is neither Yes nor No; get the data again")
    return Item(
        id=f"{category}/{name}/{number}",
        query=_query(question, prompt),
        image=image,
        target=answer,
        unit=f"{category}/{name}",
        group=category,
        facts={"category": category, "file": name, "question": question, "number": number},
    )


def _query(question: str, prompt: str) -> str:
    if prompt == "official":
        return question
    for ending in sorted(_OFFICIAL_ENDINGS, key=len, reverse=True):
        question = question.removesuffix(ending)
    return question + _LLAVA_ENDING
