"""Reads the pairs of image and query, and finds every mistake in them before anything runs."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ..errors_ecso import ECSOInputError
from ..loading.images import open_image


@dataclass(frozen=True, repr=False)
class ImageQueryPair:
    """A query about an image. Has no repr: it holds a user's text.

    Args:
        row: Place in the file, counted from 1.
        identity: Its id; the row where the file gives none.
        image: The image's path below the folder of images.
        query: The query.
    """

    row: int
    identity: str
    image: str
    query: str


def read_pairs(queries: Path, images: Path) -> list[ImageQueryPair]:
    """Return all pairs, each of which has a query and an image that can be opened.

    Args:
        queries: JSON lines, or one JSON list, of objects with ``image``, ``query`` and perhaps
            ``id``.
        images: Folder of the images.

    Raises:
        ECSOInputError: The first mistake, with file and row.
    """
    if not images.is_dir():
        raise ECSOInputError(f"{images}: no such folder; give the folder of the images")
    pairs: list[ImageQueryPair] = []
    identities: dict[str, int] = {}
    opened: set[str] = set()
    for row, value in _rows(queries):
        where = f"{queries}, row {row}"
        pair = _pair(row, value, where)
        if pair.identity in identities:
            raise ECSOInputError(
                f"{where}: the id {pair.identity!r} is that of row {identities[pair.identity]} too;"
                " give each row its own, or none"
            )
        identities[pair.identity] = row
        if pair.image not in opened:
            file = str(images / pair.image)
            open_image(file, f"{where}: {file}")
            opened.add(pair.image)
        pairs.append(pair)
    if not pairs:
        raise ECSOInputError(f"{queries}: there is no pair in it; give one JSON object a line")
    return pairs


def _rows(queries: Path) -> list[tuple[int, Any]]:
    """Return the values of a file with their rows."""
    try:
        text = queries.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ECSOInputError(f"{queries}: no such file; give the file of the queries") from None
    except (OSError, UnicodeDecodeError):
        raise ECSOInputError(
            f"{queries}: cannot be read as UTF-8 text; give a JSON lines file"
        ) from None
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(text), 1))
        except json.JSONDecodeError as error:
            raise ECSOInputError(
                f"{queries}, line {error.lineno}: not valid JSON; correct it or write one object "
                "a line"
            ) from None
        except (ValueError, RecursionError):
            raise ECSOInputError(
                f"{queries}: JSON that cannot be read; write one object a line"
            ) from None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except (ValueError, RecursionError):
                raise ECSOInputError(
                    f"{queries}, row {number}: not valid JSON; write one object a line"
                ) from None
    return rows


def _pair(row: int, value: Any, where: str) -> ImageQueryPair:
    if not isinstance(value, dict):
        raise ECSOInputError(f"{where}: not a JSON object; write one with image and query")
    for key in ("image", "query"):
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise ECSOInputError(f"{where}: {key!r} is missing, empty or not a text; give one")
    for key in ("id", "image", "query"):
        try:
            str(value.get(key)).encode()
        except UnicodeEncodeError:
            raise ECSOInputError(f"{where}: {key!r} holds half a character; correct it") from None
    image = PurePath(value["image"])
    if image.is_absolute() or ".." in image.parts:
        raise ECSOInputError(f"{where}: 'image' leads out of the folder; give a path below it")
    identity = value.get("id", row)
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise ECSOInputError(
            f"{where}: 'id' is neither a text nor a whole number; correct or drop it"
        )
    return ImageQueryPair(row, str(identity), str(image), value["query"])
