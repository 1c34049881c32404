"""VLSafe: harmful queries about COCO images; the harm is in the text.

Layouts: ``harmlessness_examine.jsonl`` of YangyiYY/LVLM_NLF, also renamed to ``data.jsonl`` as the
published scripts want it. Images are COCO train2017, found beside the data or named by the user.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...files import DataError, parsed_json, text_in
from ...images import checked_file
from ...items import Item, check_counts
from ...source import DataSource, text_of


OFFICIAL = {"queries": 1110}

_FILES = (
    "harmlessness_examine.jsonl",
    "data.jsonl",
    "VLSafe/harmlessness_examine.jsonl",
    "VLSafe_harmlessness_examine/data.jsonl",
)
_IMAGES = (
    "train2017",
    "images/train2017",
    "coco/images/train2017",
    "coco/train2017",
    "../coco/images/train2017",
    "../coco/train2017",
    "images",
)


def read_vlsafe(source: DataSource, images: Path | None = None) -> list[Item]:
    """Return the queries.

    Args:
        source: Folder, file, or the Hub repository.
        images: Folder of COCO train2017; None: looked for beside the data.

    Raises:
        DataError: The data are incomplete or broken.
    """
    images = images or source.first_of(*_IMAGES)
    if images is None or not images.is_dir():
        raise DataError(
            f"{source.name}: VLSafe comes without its images; give the folder of COCO train2017 "
            f"(--images), or put it at train2017 beside the data; looked in {images or 'there'}"
        )
    items = []
    for number, (where, row) in enumerate(_rows(source)):
        query = text_of(row, "query", where)
        file = text_of(row, "image_id", where)
        items.append(
            Item(
                id=f"{number:04}",
                query=query,
                image=checked_file(images, file, where),
                target="",
                unit=str(number),
                group="VLSafe",
                facts={"image_id": file, "question": query},
            )
        )
    check_counts({"queries": len(items)}, [OFFICIAL], source.folder, "rows")
    return items


def _file(source: DataSource) -> Path:
    if source.repo:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            return Path(
                hf_hub_download(source.repo, _FILES[2], repo_type="dataset", revision=source.commit)
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise DataError(
                f"{source.name}: {_FILES[2]} cannot be had ({type(error).__name__})"
            ) from None
    named = source.downloaded
    file = named if named.is_file() else source.first_of(*_FILES)
    if file is None:
        raise DataError(f"{source.name}: none of {', '.join(_FILES)} is in it")
    return file


def _rows(source: DataSource) -> Iterator[tuple[str, dict[str, Any]]]:
    file = _file(source)
    # Not splitlines(), which also splits at characters that JSON takes as they are.
    for number, line in enumerate(text_in(file).removesuffix("\n").split("\n"), start=1):
        where = f"{file}, row {number}"
        row = parsed_json(line, where)
        if not isinstance(row, dict):
            raise DataError(f"{where}: not a JSON object; get the data again")
        yield where, row
