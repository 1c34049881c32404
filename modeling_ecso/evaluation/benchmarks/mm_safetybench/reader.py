"""MM-SafetyBench: 13 scenarios, each question with three kinds of image, or as text alone.

Layouts: ``processed_questions/NN-Scenario.json`` with the separate image archive (flat, or one
folder for each scenario as the published scripts want it), and the mirror
PKU-Alignment/MM-SafetyBench. Scenario names keep the misspelling of the data.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...files import DataError, parsed_json, text_in
from ...images import checked_bytes, checked_file
from ...items import Item, check_counts
from ...source import DataSource, image_bytes, read_mirror, text_of


OFFICIAL = {
    "01-Illegal_Activitiy": 97,
    "02-HateSpeech": 163,
    "03-Malware_Generation": 44,
    "04-Physical_Harm": 144,
    "05-EconomicHarm": 122,
    "06-Fraud": 154,
    "07-Sex": 109,
    "08-Political_Lobbying": 153,
    "09-Privacy_Violence": 139,
    "10-Legal_Opinion": 130,
    "11-Financial_Advice": 167,
    "12-Health_Consultation": 109,
    "13-Gov_Decision": 149,
}
SCENARIOS = tuple(OFFICIAL)

# The question that belongs to each kind. Text alone is the plain question, as in the published
# scripts; the mirror lacks it and has the imperative form in its place.
QUESTION_FIELDS = {
    "text": "Question",
    "SD": "Rephrased Question(SD)",
    "TYPO": "Rephrased Question",
    "SD_TYPO": "Rephrased Question",
}
KINDS = tuple(QUESTION_FIELDS)
MIRRORED_TEXT_FIELD = "Changed Question"

_QUESTIONS = ("processed_questions", "data/processed_questions", ".")
_IMAGES = ("imgs", "images", "data/imgs", "data/images", "MM-SafetyBench(imgs)", ".")


def read_mm_safetybench(
    source: DataSource,
    kind: str = "SD_TYPO",
    scenarios: list[str] | None = None,
    images: Path | None = None,
) -> list[Item]:
    """Return the questions of one kind.

    Args:
        source: Folder, or a mirror.
        kind: ``SD``, ``TYPO``, ``SD_TYPO`` or ``text``.
        scenarios: Numbers or names; None: all thirteen.
        images: Folder of the image archive; None: looked for beside the questions.

    Raises:
        DataError: The data are incomplete or broken, or there is no such kind or scenario.
    """
    if kind not in KINDS:
        raise DataError(f"image kind {kind!r} is unknown; choose from {', '.join(KINDS)}")
    chosen = list(dict.fromkeys(map(_scenario, scenarios or SCENARIOS)))
    is_mirror = source.repo is not None or bool(source.parquet("data/*/*.parquet"))
    read = _read_mirrored if is_mirror else _read_folder
    items = [item for name in chosen for item in read(source, name, kind, images)]
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(each for each, number in Counter(ids).items() if number > 1)
        raise DataError(f"{source.name}: question {twice} is there twice; get the data again")
    found = {name: sum(item.group == name for item in items) for name in chosen}
    check_counts(found, [OFFICIAL], source.folder, "questions")
    return items


def _scenario(text: str) -> str:
    wanted = str(text).strip()
    for name in SCENARIOS:
        number, _, plain = name.partition("-")
        if wanted in (name, plain, number, number.lstrip("0")):
            return name
    raise DataError(f"scenario {wanted!r} is unknown; give numbers 1 to 13 or names")


def _read_folder(source: DataSource, scenario: str, kind: str, images: Path | None) -> list[Item]:
    file = next(
        (
            found
            for folder in _QUESTIONS
            if (found := source.first_of(f"{folder}/{scenario}.json"))
            or (found := source.first_of(f"{folder}/{scenario}/{scenario}.json"))
        ),
        None,
    )
    if file is None:
        raise DataError(f"{source.name}: {scenario}.json is in none of {', '.join(_QUESTIONS)}")
    images = _images(source, scenario, kind, images) if kind != "text" else None
    rows = _read_json(file)
    for number in range(len(rows)):
        if str(number) not in rows:
            raise DataError(f"{file}: entry {str(number)!r} is missing; get the data again")
    items = []
    for number in range(len(rows)):
        where = f"{file}, entry {str(number)!r}"
        row = rows[str(number)]
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object; get the data again")
        query = text_of(row, QUESTION_FIELDS[kind], where)
        image = checked_file(images, f"{number}.jpg", where) if images else None
        item = _item(scenario, str(number), kind, query, image, QUESTION_FIELDS[kind])
        phrase = row.get("Key Phrase")
        items.append(replace(item, facts={**item.facts, "phrase": phrase}) if phrase else item)
    return items


def _read_mirrored(source: DataSource, scenario: str, kind: str, images: Path | None) -> list[Item]:
    config = scenario.partition("-")[2]
    split = "Text_only" if kind == "text" else kind
    items = []
    for where, row in read_mirror(
        source, config=config, split=split, pattern=f"data/{config}/{split}[.-]*parquet"
    ):
        query = text_of(row, "question", where)
        number = str(row.get("id", ""))
        if not number.isdigit():
            raise DataError(f"{where}: 'id' is not a whole number; get the data again")
        image = None
        if kind != "text":
            image = checked_bytes(image_bytes(row.get("image"), where), where)
        field = MIRRORED_TEXT_FIELD if kind == "text" else QUESTION_FIELDS[kind]
        items.append(_item(scenario, number, kind, query, image, field))
    return items


def _item(scenario: str, number: str, kind: str, query: str, image: str | None, field: str) -> Item:
    return Item(
        id=f"{scenario}/{number}",
        query=query,
        image=image,
        target="",
        unit=f"{scenario}/{number}",
        group=scenario,
        facts={
            "scenario": scenario,
            "number": number,
            "kind": kind,
            "question": query,
            "question_field": field,
        },
    )


def _images(source: DataSource, scenario: str, kind: str, images: Path | None) -> Path:
    below = f"{scenario}/{kind}"
    if images is not None:
        found = images / below if (images / below).is_dir() else None
    else:
        found = source.first_of(*(f"{folder}/{below}" for folder in _IMAGES))
    if found is None:
        raise DataError(
            f"{images or source.name}: no folder {below} with images; the images of "
            "MM-SafetyBench are a separate archive, give its folder (--images) or unpack it as imgs"
        )
    return found


def _read_json(file: Path) -> dict[str, Any]:
    rows = parsed_json(text_in(file), str(file))
    if not isinstance(rows, dict) or not rows:
        raise DataError(f"{file}: not an object of numbered questions; get the data again")
    return rows
