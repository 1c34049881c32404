"""Opens images from files that may be anything."""

import warnings
from pathlib import Path
from typing import Any, BinaryIO

from ..errors_ecso import ECSOInputError


# A model scales every image down to some hundred pixels a side; this is far above any camera.
MAX_PIXELS = 100_000_000


def open_image(path: str, name: str | None = None) -> Any:
    """Return an image as RGB, turned as its camera says.

    Args:
        path: File to open.
        name: What to call it in messages; None: its path.

    Raises:
        ECSOInputError: No such file, not an image, cut short, or more than ``MAX_PIXELS`` pixels;
            the size is read before the pixels are.
    """
    file, name = Path(path), name or path
    try:
        is_there, is_file = file.exists(), file.is_file()
    except OSError:  # a name too long for the disk
        is_there, name = False, f"{name[:200]}…"
    if not is_there:
        raise ECSOInputError(f"{name}: no such file; give the path of an image")
    if not is_file:
        raise ECSOInputError(f"{name}: not a file; give the path of an image")
    return read_image(file, name)


def read_image(source: Path | BinaryIO, name: str) -> Any:
    """Return an image from a file or a stream as RGB, turned as its camera says.

    Raises:
        ECSOInputError: Not an image, cut short, or more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(source)
        with opened as image:
            if image.width * image.height > MAX_PIXELS:
                raise ECSOInputError(_too_large(name, f"{image.width} x {image.height} pixels"))
            return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError:
        raise ECSOInputError(_too_large(name, "the image")) from None
    except UnidentifiedImageError:
        raise ECSOInputError(
            f"{name}: not an image Pillow can read; convert it to PNG or JPEG"
        ) from None
    except (OSError, SyntaxError, ValueError):
        raise ECSOInputError(f"{name}: the image is damaged or cut short; get it again") from None


def _too_large(name: str, what: str) -> str:
    return f"{name}: {what} is more than {MAX_PIXELS // 10**6} million pixels; make it smaller"
