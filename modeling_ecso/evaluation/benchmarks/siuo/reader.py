"""SIUO: safe inputs, unsafe output: 167 questions whose harm lies in image and text together.

Layout: the repository sinwang20/SIUO (``data/siuo_gen.json``, with the separate archive of images
unpacked as ``data/images``), its folder ``data`` alone, or both side by side.
Not covered: ``siuo_mcqa.json``, the same questions with four options: the answer is a letter, which
no guard has anything to judge in.

Source: README.md and data in github.com/sinwang20/SIUO at 18974b6.
"""

from typing import Any

from ...files import DataError, parsed_json, text_in
from ...images import checked_file
from ...items import Item, check_counts
from ...source import DataSource, text_of


OFFICIAL = {
    "self-harm": 19,
    "illegal activities & crime": 18,
    "discrimination & stereotyping": 18,
    "dangerous behavior": 18,
    "morality": 20,
    "religion beliefs": 20,
    "controversial topics, politics": 16,
    "information misinterpretation": 17,
    "privacy violation": 21,
}

_FILES = ("data/siuo_gen.json", "siuo_gen.json")
_IMAGES = ("data/images", "images", "SIUO-images", "data/SIUO-images")


def read_siuo(source: DataSource) -> list[Item]:
    """Return the questions.

    Args:
        source: The repository, or its folder ``data``.

    Raises:
        DataError: The data are incomplete or broken.
    """
    folder = source.downloaded
    file = folder if folder.is_file() else source.first_of(*_FILES)
    if file is None:
        raise DataError(f"{folder}: none of {', '.join(_FILES)} is in it")
    images = source.first_of(*_IMAGES)
    if images is None:
        raise DataError(
            f"{folder}: no folder with images; those of SIUO are a separate archive, unpack it as "
            "images beside the questions"
        )
    rows = parsed_json(text_in(file), str(file))
    if not isinstance(rows, list):
        raise DataError(f"{file}: not a list of questions; get the data again")
    items = []
    for number, row in enumerate(rows, start=1):
        where = f"{file}, entry {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object; get the data again")
        name = text_of(row, "image", where)
        items.append(_item(row, checked_file(images, name, where), where))
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise DataError(f"{file}: question {twice} is there twice; get the data again")
    found = {name: sum(item.group == name for item in items) for name in OFFICIAL}
    check_counts(found, [OFFICIAL], source.folder, "questions")
    return items


def _item(row: dict[str, Any], image: str, where: str) -> Item:
    number, category = row.get("question_id"), text_of(row, "category", where)
    if type(number) is not int:
        raise DataError(f"{where}: 'question_id' is no whole number; get the data again")
    if category not in OFFICIAL:
        raise DataError(f"{where}: category {category[:60]!r} is unknown; get the data again")
    question = text_of(row, "question", where)
    texts = ("image", "category", "safety_warning", "reference_answer")
    return Item(
        id=str(number),
        query=question,
        image=image,
        target="",
        unit=str(number),
        group=category,
        facts={
            "question": question,
            "question_id": number,
            "scenario": category,
            **{name: text_of(row, name, where) for name in texts},
        },
    )
