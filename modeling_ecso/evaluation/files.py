"""Opens what was downloaded: files that may be anything, named by rows that may say anything.

Covered: a path that leads out of its folder, by its name or by a link; what is no regular file, a
pipe that would never end among them; names that no disk can hold; a byte order mark in front.
Not covered: files that change while they are read.
"""

import json
from pathlib import Path
from typing import Any

from ..errors_ecso import ECSOInputError


BYTE_ORDER_MARK = "\ufeff"


class DataError(ECSOInputError):
    """The data cannot be used; the message names file and row, and never quotes a question."""


def regular(file: Path) -> Path:
    """Return a file that can be read to its end.

    Raises:
        DataError: It is a pipe, a device or a folder.
    """
    try:
        is_other = file.exists() and not file.is_file()
    except (OSError, ValueError):  # a name that no disk can hold: whoever opens it says so
        return file
    if is_other:
        raise DataError(f"{file}: no regular file; get the data again")
    return file


def file_below(folder: Path, name: str, where: str) -> Path:
    """Return a file that a row names.

    Args:
        folder: The folder it must be in.
        name: Its path from there.
        where: File and row that name it, for the message.

    Raises:
        DataError: The name, or a link on the way, leads out of the folder.
    """
    file = folder / name
    shown = str(file)[:200]
    try:
        is_below = _is_among(file.resolve(), folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, a null in it, links in a circle
        raise DataError(f"{where}: its image {shown!r} is missing; get it again") from None
    if not is_below:
        raise DataError(
            f"{where}: its image {shown!r} leads out of {folder}; put the image itself there"
        )
    return file


def _is_among(file: Path, folder: Path) -> bool:
    # A snapshot in the cache of the Hub consists of links to the blobs beside it.
    snapshots = next((p for p in (folder, *folder.parents) if p.parent.name == "snapshots"), None)
    roots = [folder, *([snapshots.parent.parent / "blobs"] if snapshots else [])]
    return any(file.is_relative_to(root) for root in roots)


def text_in(file: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        DataError: It cannot be read, or is not in UTF-8.
    """
    try:
        return regular(file).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: cannot be read as UTF-8 text; get the file again") from None


def parsed_json(text: str, where: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        DataError: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not JSON; get the data again") from None
