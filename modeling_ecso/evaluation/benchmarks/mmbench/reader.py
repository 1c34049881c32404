"""MMBench: multiple choice, each question with its options in every rotation; English or Chinese.

Layouts: the official TSV with the image in every row; the TSV of VLMEvalKit, where a row may
hold the index of the row that has it; the mirrors lmms-lab/MMBench and its like.
"""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...files import DataError, regular
from ...images import checked_base64, checked_bytes
from ...items import Item, check_counts
from ...source import DataSource, configurations, image_bytes, read_mirror, text_of


# Rows, rotations included: dev and test, of the two releases there are mirrors of.
OFFICIAL = ({"rows": 4329}, {"rows": 4377}, {"rows": 6666}, {"rows": 6718})

ROUND = 1_000_000
LETTERS = "ABCDEFGH"
_INSTRUCTIONS = {
    "en": "Answer with the option's letter from the given choices directly.",
    "cn": "请直接回答选项字母。",
}
LANGUAGES = tuple(_INSTRUCTIONS)
SPLITS = ("dev", "test")

_COLUMNS = ("index", "question", "A", "B", "image")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Longer than any index, shorter than any image.
_LONGEST_INDEX = 64


def read_mmbench(source: DataSource, language: str = "en", split: str = "dev") -> list[Item]:
    """Return the questions with all their rotations.

    Args:
        source: TSV file, folder with one TSV of that language and split, or a mirror.
        language: ``en`` or ``cn``: the instruction to answer with a letter.
        split: ``dev`` or ``test``: which table of a mirror.

    Raises:
        DataError: The data are incomplete or broken, or there is no such language.
    """
    if language not in LANGUAGES:
        raise DataError(f"language {language!r} is unknown; choose from {', '.join(LANGUAGES)}")
    if split not in SPLITS:
        raise DataError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
    is_mirror = source.repo is not None or bool(source.parquet("**/*.parquet"))
    rows = list(
        _mirror_rows(source, language, split) if is_mirror else _tsv_rows(source, language, split)
    )
    check_counts({"rows": len(rows)}, OFFICIAL, source.folder, "rows")
    _check_language(rows, language, source.name)
    indices = _indices(rows)
    images = _images(rows, indices)
    _check_rotations(indices, source.name)
    has_answers = any(_cell(row, "answer") for _, row in rows)
    items = []
    for (where, row), index in zip(rows, indices, strict=True):
        options = _options(row, where)
        answer = _cell(row, "answer").strip()
        if has_answers and answer not in options:
            raise DataError(f"{where}: 'answer' is not the letter of an option; get it again")
        items.append(_item(row, index, options, answer, images[index], language, where))
    return items


def _is_named_for(file: Path, language: str, split: str) -> bool:
    """Return whether a file's name, such as ``MMBench_DEV_CN.tsv``, says language and split."""
    words = file.stem.lower().split("_")
    return split in words and ("cn" in words) is (language == "cn")


def _tsv_rows(
    source: DataSource, language: str, split: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    file = source.downloaded
    if file.is_dir():
        files = sorted(file.glob("*.tsv"))
        if len(files) > 1:
            files = [each for each in files if _is_named_for(each, language, split)]
        if len(files) != 1:
            raise DataError(f"{file}: {len(files)} TSV files to read in it; name the one")
        file = files[0]
    csv.field_size_limit(sys.maxsize)
    with regular(file).open(encoding="utf-8-sig", newline="") as stream:
        table = csv.DictReader(stream, delimiter="\t")
        try:
            for column in _COLUMNS:
                if column not in (table.fieldnames or ()):
                    raise DataError(f"{file}: the column {column!r} is missing; get the data again")
            for number, row in enumerate(table, start=1):
                if None in row or None in row.values():
                    raise DataError(f"{file}, row {number}: not as many cells as columns")
                yield f"{file}, row {number}", row
        except (csv.Error, UnicodeDecodeError):
            raise DataError(f"{file}: not a TSV file in UTF-8; get the data again") from None


def _mirror_rows(
    source: DataSource, language: str, split: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    name = _configuration(source, language)
    pattern = f"{name or '**'}/{split}*.parquet"
    for where, row in read_mirror(source, config=name, split=split, pattern=pattern):
        lower = {name.lower(): value for name, value in row.items() if len(name) > 1}
        yield where, {**row, **lower, "image": image_bytes(row.get("image"), where)}


def _configuration(source: DataSource, language: str) -> str | None:
    """Return the configuration of a language; None where a mirror does not tell languages apart."""
    names = configurations(source) if source.repo else [p.name for p in source.downloaded.iterdir()]
    if language in names:
        return language
    others = [name for name in names if name in LANGUAGES]
    if others:
        raise DataError(
            f"{source.name}: it has {', '.join(others)} but not {language}; choose --language"
        )
    return None


def _check_language(rows: list[tuple[str, dict[str, Any]]], language: str, name: str) -> None:
    """Refuse a table whose questions are in the other language than the instruction."""
    chinese = sum(bool(_CHINESE.search(_cell(row, "question"))) for _, row in rows)
    found = "cn" if 2 * chinese > len(rows) else "en"
    if found != language:
        raise DataError(
            f"{name}: most of its questions are not in the language {language!r}; choose "
            f"--language {found}"
        )


def _indices(rows: list[tuple[str, dict[str, Any]]]) -> list[int]:
    indices = []
    seen: dict[int, str] = {}
    for where, row in rows:
        try:
            index = int(str(row.get("index")))
        except ValueError:
            raise DataError(f"{where}: 'index' is not a whole number; get it again") from None
        if index in seen:
            raise DataError(f"{where}: index {index} is also that of {seen[index]}")
        seen[index] = where
        indices.append(index)
    return indices


def _images(rows: list[tuple[str, dict[str, Any]]], indices: list[int]) -> dict[int, str]:
    """Return each row's image; rows that share one share the string too."""
    cells = dict(zip(indices, (row["image"] for _, row in rows), strict=True))
    checked: dict[Any, str] = {}
    images = {}
    for (where, _), index in zip(rows, indices, strict=True):
        cell = cells[index]
        if isinstance(cell, str) and len(cell) <= _LONGEST_INDEX:
            try:
                cell = cells[int(cell)]
            except (ValueError, KeyError):
                raise DataError(
                    f"{where}: 'image' is neither an image nor the index of a row that has one"
                ) from None
        if cell not in checked:
            check = checked_bytes if isinstance(cell, bytes) else checked_base64
            checked[cell] = check(cell, where)
        images[index] = checked[cell]
    return images


def _check_rotations(indices: list[int], name: str) -> None:
    known = set(indices)
    for index in indices:
        if index >= ROUND and index - ROUND not in known:
            raise DataError(
                f"{name}: index {index} is a rotation of {index - ROUND}, which is missing"
            )


def _options(row: dict[str, Any], where: str) -> dict[str, str]:
    options = {letter: text for letter in LETTERS if (text := _cell(row, letter))}
    if len(options) < 2 or list(options) != list(LETTERS[: len(options)]):
        raise DataError(f"{where}: an option is missing before another; get the data again")
    return options


def _cell(row: dict[str, Any], column: str) -> str:
    """Return a cell as text; tables write a missing one as nothing or as "nan"."""
    value = row.get(column)
    text = "" if value is None else str(value)
    return "" if text.strip().lower() == "nan" else text


def _item(
    row: dict[str, Any],
    index: int,
    options: dict[str, str],
    answer: str,
    image: str,
    language: str,
    where: str,
) -> Item:
    question = text_of(row, "question", where)
    hint = _cell(row, "hint")
    lines = [*([hint] if hint.strip() else []), question]
    lines += [f"{letter}. {text}" for letter, text in options.items()]
    base = index % ROUND
    return Item(
        id=str(index),
        query="\n".join([*lines, _INSTRUCTIONS[language]]),
        image=image,
        target=answer,
        unit=str(base),
        group=_cell(row, "l2-category") or _cell(row, "category"),
        facts={
            "index": index,
            "base": base,
            "question": question,
            "options": options,
            "category": _cell(row, "category"),
            "l2_category": _cell(row, "l2-category"),
            "split": _cell(row, "split"),
        },
    )
