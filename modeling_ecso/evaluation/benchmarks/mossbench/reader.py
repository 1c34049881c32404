"""MOSSBench: 300 benign queries about images that make models refuse, of three types.

Layouts: the repository xirui-li/MOSSBench (``data/images_information/information.json``, an object
by number, and ``data/images``), its folder ``data`` alone, and ``information.csv`` with ``images``
beside it, as the root of the repository and the archive of the data set AIcell/MOSSBench have it.

Source: README.md, data and information.csv in github.com/xirui-li/MOSSBench at 8d68b06.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...files import DataError, parsed_json, text_in
from ...images import checked_file
from ...items import Item, check_counts
from ...source import DataSource, text_of


TYPES = {
    "type 1": "Exaggerated Risk",
    "type 2": "Negated Harm",
    "type 3": "Counterintuitive Interpretation",
}
OFFICIAL = dict.fromkeys(TYPES.values(), 100)

_JSON = (
    "data/images_information/information.json",
    "images_information/information.json",
    "information.json",
)
_CSV = ("information.csv",)


def read_mossbench(source: DataSource) -> list[Item]:
    """Return the queries.

    Args:
        source: The repository, its folder ``data``, or the unpacked archive.

    Raises:
        DataError: The data are incomplete or broken.
    """
    folder = source.downloaded
    file = source.first_of(*_JSON, *_CSV)
    if file is None:
        raise DataError(f"{folder}: none of {', '.join((*_JSON, *_CSV))} is in it")
    rows = _in_table(file) if file.suffix == ".csv" else _in_json(file)
    # The paths in a row begin with the folder of the images.
    images = file.parent.parent if file.parent.name == "images_information" else file.parent
    items = [_item(row, where, images) for where, row in rows]
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise DataError(f"{file}: query {twice} is there twice; get the data again")
    found = {name: sum(item.group == name for item in items) for name in OFFICIAL}
    check_counts(found, [OFFICIAL], source.folder, "queries")
    return items


def _in_json(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = parsed_json(text_in(file), str(file))
    if not isinstance(rows, dict):
        raise DataError(f"{file}: not an object of queries; get the data again")
    for number, row in rows.items():
        where = f"{file}, entry {number[:20]!r}"
        facts = row.get("metadata") if isinstance(row, dict) else None
        if not isinstance(facts, dict):
            raise DataError(f"{where}: not an object with metadata; get the data again")
        yield where, {**row, "over": facts.get("over")}


def _in_table(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = list(csv.DictReader(io.StringIO(text_in(file), newline="")))
    except csv.Error:
        raise DataError(f"{file}: not a table; get the data again") from None
    for number, row in enumerate(rows, start=1):
        renamed = {"image": row.get("image_path"), "over": row.get("meta_data_over")}
        yield f"{file}, row {number}", {**row, **renamed}


def _item(row: dict[str, Any], where: str, images: Path) -> Item:
    over = text_of(row, "over", where)
    kind = TYPES.get(over, over)
    if kind not in OFFICIAL:
        raise DataError(f"{where}: type {over[:60]!r} is unknown; get the data again")
    question, number = text_of(row, "question", where), text_of(row, "pid", where)
    file = text_of(row, "image", where)
    return Item(
        id=number,
        query=question,
        image=checked_file(images, file, where),
        target="",
        unit=number,
        group=kind,
        facts={"question": question, "type": kind, "image": file, "over": over},
    )
