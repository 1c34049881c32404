"""Reads the pictures of a benchmark: checked while the data are loaded, opened when asked about."""

import base64
import binascii
import io
import warnings
from pathlib import Path
from typing import Any

from ..loading.pictures import MAX_PIXELS, open_picture, read_picture
from .items import DataError


def checked_file(file: Path, where: str) -> str:
    """Return the path of a picture that can be read.

    Args:
        file: The picture.
        where: File and row that ask for it, for the message.

    Raises:
        DataError: It is missing, no picture, cut short, or too large.
    """
    try:
        content = file.read_bytes()
    except OSError:  # a name too long for the disk, for one
        raise DataError(
            f"{where}: its picture {str(file)[:200]} is missing; get it again"
        ) from None
    _check(content, f"{where}: its picture {file}")
    return str(file)


def checked_bytes(content: bytes, where: str) -> str:
    """Return a picture as data URI.

    Args:
        content: The file as it is stored in a table.
        where: File and row, for the message.

    Raises:
        DataError: It is no picture, cut short, or too large.
    """
    kind = _check(content, f"{where}: its picture")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def checked_base64(text: str, where: str) -> str:
    """Return a picture that a table holds as base64, as data URI.

    Raises:
        DataError: It is not base64, no picture, cut short, or too large.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{where}: its picture is not base64; get the data again") from None
    return checked_bytes(content, where)


def open_benchmark_picture(picture: str) -> Any:
    """Return a picture, given as file or data URI, as RGB, turned as its camera says.

    Raises:
        Problem: It cannot be read.
    """
    if picture.startswith("data:"):
        content = base64.b64decode(picture.partition(",")[2])
        return read_picture(io.BytesIO(content), "a picture")
    return open_picture(picture)


def _check(content: bytes, name: str) -> str:
    """Decode a picture to its last row; return its format as in a media type."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
        if picture.width * picture.height > MAX_PIXELS:
            raise DataError(f"{name} has more than {MAX_PIXELS // 10**6} million pixels")
        picture.draft("RGB", (64, 64))  # JPEG decodes an eighth of each side: enough to see a cut
        picture.load()
    except UnidentifiedImageError:
        raise DataError(f"{name} is not a picture Pillow can read; get the data again") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(f"{name} is damaged or cut short; get the data again") from None
    return (picture.format or "png").lower()
