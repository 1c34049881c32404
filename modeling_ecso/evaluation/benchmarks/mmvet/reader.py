"""MM-Vet: 218 open questions, graded from 0 to 1, each tagged with the capabilities it takes.

Layouts: the official archive (``mm-vet.json`` and ``images/``), and the mirrors whyu/mm-vet and
lmms-lab/MMVet.
"""

import re
from typing import Any

from ...files import DataError, parsed_json, text_in
from ...images import checked_bytes, checked_file
from ...items import Item, check_counts
from ...source import DataSource, image_bytes, read_mirror, text_of


OFFICIAL = {"questions": 218}
CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")

_ID = re.compile(r"v1_\d+")


def read_mmvet(source: DataSource) -> list[Item]:
    """Return the questions.

    Args:
        source: Folder, or a mirror.

    Raises:
        DataError: The data are incomplete or broken.
    """
    is_mirror = source.repo is not None or bool(source.parquet("data/*.parquet"))
    items = _read_mirrored(source) if is_mirror else _read_folder(source)
    check_counts({"questions": len(items)}, [OFFICIAL], source.folder, "questions")
    return items


def _read_folder(source: DataSource) -> list[Item]:
    file = source.first_of("mm-vet.json", "mm-vet/mm-vet.json")
    if file is None:
        raise DataError(f"{source.name}: mm-vet.json is not in it")
    rows = parsed_json(text_in(file), str(file))
    if not isinstance(rows, dict):
        raise DataError(f"{file}: not an object of questions; get the data again")
    items = []
    for name, row in rows.items():
        where = f"{file}, entry {name!r}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object; get the data again")
        named = text_of(row, "imagename", where)
        items.append(_item(name, row, checked_file(file.parent / "images", named, where), where))
    return items


def _read_mirrored(source: DataSource) -> list[Item]:
    items = []
    for where, row in read_mirror(source, config=None, split="test", pattern="data/test*.parquet"):
        image = checked_bytes(image_bytes(row.get("image"), where), where)
        name = row.get("question_id") or row.get("id") or ""
        items.append(_item(str(name), row, image, where))
    return items


def _item(name: str, row: dict[str, Any], image: str, where: str) -> Item:
    if not _ID.fullmatch(name):
        raise DataError(f"{where}: the question's id is not of the form v1_0; get the data again")
    capability = row.get("capability")
    if isinstance(capability, str):
        capability = capability.split(",")
    capabilities = sorted({str(part).strip() for part in capability or ()})
    unknown = [part for part in capabilities if part not in CAPABILITIES]
    if not capabilities or unknown:
        raise DataError(
            f"{where}: 'capability' must name some of {', '.join(CAPABILITIES)}; get it again"
        )
    question = text_of(row, "question", where)
    return Item(
        id=name,
        query=question,
        image=image,
        target=text_of(row, "answer", where),
        unit=name,
        group="+".join(capabilities),
        facts={"question": question, "capabilities": capabilities},
    )
