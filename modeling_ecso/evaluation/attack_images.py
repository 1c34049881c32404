"""Images as attacks make them: opened from an item, written back as PNG in a data URI."""

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any

from .files import DataError
from .images import open_benchmark_image
from .items import Item


# Of Pillow's and matplotlib's own fonts, so that the same picture is drawn on every machine.
SANS, SERIF, MONO = "sans", "serif", "mono"
_FILES = {SERIF: "DejaVuSerif-Bold.ttf", MONO: "DejaVuSansMono-Bold.ttf"}
SIDE = 336


def image_of(item: Item) -> Any:
    """Return the item's image as RGB.

    Raises:
        DataError: It has none.
    """
    if item.image is None:
        raise DataError("it needs an image, and this sample has none")
    return open_benchmark_image(item.image)


def as_uri(image: Any) -> str:
    """Return an image as a data URI, in PNG, which loses nothing."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def printed(
    text: str,
    font: str = SANS,
    share: float = 0.86,
    ink: tuple[int, int, int] = (20, 20, 20),
    paper: tuple[int, int, int] = (246, 244, 238),
    size: tuple[int, int] = (SIDE, SIDE),
) -> Any:
    """Return an image of a text, as large as fits, in the middle.

    Args:
        text: What to print; broken into lines where that makes it larger.
        font: One of the fonts above.
        share: Part of the width that the longest line takes.
        ink: Colour of the text.
        paper: Colour behind it.
        size: Width and height in pixels.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", size, paper)
    brush = ImageDraw.Draw(image)
    lines, points = _largest_fit(text, font, size[0] * share, size[1] * share)
    chosen = _font(font, points)
    block = "\n".join(lines)
    left, top, right, bottom = brush.multiline_textbbox((0, 0), block, chosen)
    at = ((size[0] - right - left) / 2, (size[1] - bottom - top) / 2)
    brush.multiline_text(at, block, ink, chosen, align="center")
    return image


def _largest_fit(text: str, font: str, width: float, height: float) -> tuple[list[str], float]:
    """Return the lines that a text is broken into, and the size at which they fit."""
    words = text.split() or [""]
    best: tuple[float, list[str]] = (0.0, [text])
    for count in range(1, min(len(words), 8) + 1):
        lines = _in_lines(words, count)
        widest = max(_font(font, 100).getlength(line) for line in lines) or 1
        points = min(100 * width / widest, height / (1.3 * len(lines)), height / 2)
        best = max(best, (points, lines))
    return best[1], max(best[0], 6)


def _in_lines(words: list[str], count: int) -> list[str]:
    """Return words in about so many lines of about the same length."""
    longest = len(" ".join(words)) / count
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) / 2 < longest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


@cache
def _font(name: str, points: float) -> Any:
    from PIL import ImageFont

    if name == SANS:
        return ImageFont.load_default(size=points)
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / _FILES[name]
    return ImageFont.truetype(str(file), points)
