"""Opens pictures from files that may be anything."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from .problem import Problem


# A model scales every picture down to some hundred pixels a side; this is far above any camera.
MAX_PIXELS = 100_000_000


def open_picture(path: str, name: str | None = None) -> Any:
    """Return a picture as RGB, turned as its camera says.

    Args:
        path: File to open.
        name: What to call it in messages; None: its path.

    Raises:
        Problem: No such file, not a picture, cut short, or more than ``MAX_PIXELS`` pixels; the
            size is read before the pixels are.
    """
    file, name = Path(path), name or path
    try:
        is_there, is_file = file.exists(), file.is_file()
    except OSError:  # a name too long for the disk
        is_there, name = False, f"{name[:200]}…"
    if not is_there:
        raise Problem(f"{name}: no such file; give the path of a picture")
    if not is_file:
        raise Problem(f"{name}: not a file; give the path of a picture")
    return read_picture(file, name)


def read_picture(source: Path | BinaryIO, name: str) -> Any:
    """Return a picture from a file or a stream as RGB, turned as its camera says.

    Raises:
        Problem: Not a picture, cut short, or more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(source)
        with opened as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Problem(_too_large(name, f"{picture.width} x {picture.height} pixels"))
            return ImageOps.exif_transpose(picture).convert("RGB")
    except Image.DecompressionBombError:
        raise Problem(_too_large(name, "the picture")) from None
    except UnidentifiedImageError:
        raise Problem(f"{name}: not a picture Pillow can read; convert it to PNG or JPEG") from None
    except (OSError, SyntaxError, ValueError):
        raise Problem(f"{name}: the picture is damaged or cut short; get it again") from None


def _too_large(name: str, what: str) -> str:
    return f"{name}: {what} is more than {MAX_PIXELS // 10**6} million pixels; make it smaller"
