"""Reads the images of a benchmark: checked while the data are loaded, opened when asked about."""

import base64
import binascii
import io
import warnings
from pathlib import Path
from typing import Any

from ..loading.images import MAX_PIXELS, open_image, read_image
from .files import DataError, file_below, regular


def checked_file(folder: Path, name: str, where: str) -> str:
    """Return the path of an image that can be read.

    Args:
        folder: The folder it must be in.
        name: Its path from there, as a row may name it.
        where: File and row that ask for it, for the message.

    Raises:
        DataError: It lies elsewhere, is missing, no file, no image, cut short, or too large.
    """
    file = file_below(folder, name, where)
    try:
        content = regular(file).read_bytes()
    except DataError as error:
        raise DataError(f"{where}: its image {error}") from None
    except OSError:
        raise DataError(f"{where}: its image {str(file)[:200]} is missing; get it again") from None
    _check(content, f"{where}: its image {file}")
    return str(file)


def checked_bytes(content: bytes, where: str) -> str:
    """Return an image as data URI.

    Args:
        content: The file as it is stored in a table.
        where: File and row, for the message.

    Raises:
        DataError: It is no image, cut short, or too large.
    """
    kind = _check(content, f"{where}: its image")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def checked_base64(text: str, where: str) -> str:
    """Return an image that a table holds as base64, as data URI.

    Raises:
        DataError: It is not base64, no image, cut short, or too large.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{where}: its image is not base64; get the data again") from None
    return checked_bytes(content, where)


def open_benchmark_image(image: str) -> Any:
    """Return an image, given as file or data URI, as RGB, turned as its camera says.

    Raises:
        ECSOInputError: It cannot be read.
    """
    if image.startswith("data:"):
        content = base64.b64decode(image.partition(",")[2])
        return read_image(io.BytesIO(content), "an image")
    return open_image(image)


def _check(content: bytes, name: str) -> str:
    """Decode an image to its last row; return its format as in a media type."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"{name} has more than {MAX_PIXELS // 10**6} million pixels")
        image.draft("RGB", (64, 64))  # JPEG decodes an eighth of each side: enough to see a cut
        image.load()
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image Pillow can read; get the data again") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(f"{name} is damaged or cut short; get the data again") from None
    return (image.format or "png").lower()
