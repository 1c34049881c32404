"""Opens images from files that may be anything: the one place that does.

Covered: only formats that Pillow decodes by itself are tried, so that no file starts another
program; every mode becomes 8 bits of red, green and blue as a viewer would show it.
Not covered: all but the first frame of an animation.
"""

import base64
import mimetypes
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from ..errors_ecso import ECSOInputError


# A model scales every image down to some hundred pixels a side; this is far above any camera.
MAX_PIXELS = 100_000_000
# Pillow's names. Others are left out with intent: EPS and WMF start programs, and the rest are
# decoders that nobody who asks about an image needs. JPEG includes the MPO files of phones.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

# The embedded model's own images, by the names that work from any folder.
_SAMPLE_FOLDER = Path(__file__).parent.parent / "tiny" / "images"
SAMPLES = {f"tiny:{name}.png": _SAMPLE_FOLDER / f"{name}.png" for name in ("bomb", "kite")}

_BITS_PER_SAMPLE = 258  # a TIFF tag


def path_of(name: str) -> str:
    """Return the file that a name on the command line means: a sample's, or the name itself."""
    return str(SAMPLES.get(name, name))


def open_image(path: str, name: str | None = None) -> Any:
    """Return an image as RGB, turned as its camera says.

    Args:
        path: File to open.
        name: What to call it in messages; None: its path.

    Raises:
        ECSOInputError: No such file, or it cannot be used; see `read_image`.
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
    try:
        stream = file.open("rb")
    except OSError as error:
        raise ECSOInputError(
            f"{name}: cannot be read ({error.strerror}); see to its permissions"
        ) from None
    with stream:
        return read_image(stream, name)


def data_uri_of(file: Path) -> str:
    """Return an image's file as a data URI, byte for byte; raises as `open_image`."""
    open_image(str(file))
    kind = mimetypes.guess_type(file.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"


def read_image(source: Path | BinaryIO, name: str) -> Any:
    """Return an image from a file or a stream as RGB, turned as its camera says.

    What is transparent is white. 16 bits a channel are scaled to 8.

    Raises:
        ECSOInputError: Not an image of one of `IMAGE_FORMATS`, cut short, of more than
            ``MAX_PIXELS`` pixels (the size is read before the pixels are), or of a mode that has
            no certain white.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities that viewers pass over too
            with Image.open(source, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ECSOInputError(_too_large(name, f"{image.width} x {image.height} pixels"))
                white = _white_of(image, name)
                return _as_rgb(ImageOps.exif_transpose(image), white)
    except ECSOInputError:
        raise
    except Image.DecompressionBombError:
        raise ECSOInputError(_too_large(name, "the image")) from None
    except UnidentifiedImageError:
        *others, last = IMAGE_FORMATS
        raise ECSOInputError(
            f"{name}: not an image that can be read; convert it to {', '.join(others)} or {last}"
        ) from None
    except Exception:  # a decoder fails with whatever it meets in a damaged file
        raise ECSOInputError(f"{name}: the image is damaged or cut short; get it again") from None


def _white_of(image: Any, name: str) -> int:
    """Return the value of white in one channel.

    Raises:
        ECSOInputError: It is not known.
    """
    if image.mode in ("I", "F"):
        raise ECSOInputError(
            f"{name}: its pixels have 32 bits, and what is white among them is not known; convert "
            "it to 8 bits a channel"
        )
    if not image.mode.startswith("I;16"):
        return 255
    tags = getattr(image, "tag_v2", {})
    return 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1


def _as_rgb(image: Any, white: int) -> Any:
    from PIL import Image

    if white != 255:
        return image.convert("I").point(lambda value: value * (255 / white)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    pixels = image.convert("RGBA")
    flat = Image.new("RGB", pixels.size, "white")
    flat.paste(pixels, mask=pixels.getchannel("A"))
    return flat


def _too_large(name: str, what: str) -> str:
    return f"{name}: {what} is more than {MAX_PIXELS // 10**6} million pixels; make it smaller"
