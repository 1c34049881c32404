"""Kind and size of an image from the first bytes of its file.

Covered: PNG, JPEG (with what phones append to it), GIF and WebP, in a bounded number of steps
whatever the bytes are: nothing is decoded, and nothing before the size is looked at more than once.
Not covered: damage behind the header, which is the model server's to refuse.

Source: the formats' specifications: ISO/IEC 15948 (PNG), ITU T.81 annex B (JPEG), GIF89a,
RFC 9649 (WebP).
"""

from collections.abc import Callable
from typing import NamedTuple


# A photo has some ten segments before its size, one with a large profile some hundred.
_MAX_SEGMENTS = 1000
# What stands before the first frame of a GIF comes in pieces of at most 255 bytes.
_MAX_BLOCKS = 20_000
# Frame headers; the others between C0 and CF are tables and restart marks.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageHeader(NamedTuple):
    """What a file says of its image.

    Args:
        kind: As in ``image/KIND``.
        width: In pixels.
        height: In pixels.
    """

    kind: str
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader | None:
    """Return the kind and size of an image; None where the bytes are no image of a known kind."""
    for beginning, kind, read in _KINDS:
        if data.startswith(beginning):
            size = read(data)
            return ImageHeader(kind, *size) if size and min(size) > 0 else None
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    # The header is the first chunk, and always has 13 bytes and a checksum.
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\rIHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        # Any number of FF may stand before a mark; one call skips them all.
        if data[at : at + 1] != b"\xff":
            return None
        mark_at = at + 1
        while data[mark_at : mark_at + 1] == b"\xff":
            mark_at += 1
            if mark_at - at > _MAX_SEGMENTS:
                return None
        mark, length = data[mark_at : mark_at + 1], data[mark_at + 1 : mark_at + 3]
        if len(length) < 2 or int.from_bytes(length, "big") < 2 or mark == b"\xd9":
            return None
        if mark[0] in _JPEG_FRAMES:
            size = data[mark_at + 4 : mark_at + 8]
            whole = (int.from_bytes(size[2:], "big"), int.from_bytes(size[:2], "big"))
            return whole if len(size) == 4 else None
        at = mark_at + 1 + int.from_bytes(length, "big")
    return None


def _gif(data: bytes) -> tuple[int, int] | None:
    if len(data) < 13:
        return None
    width, height = _two_little(data[6:10])
    at = 13 + _colour_table(data[10])
    is_in_extension = False
    for _ in range(_MAX_BLOCKS):
        block = data[at : at + 1]
        if is_in_extension:
            if not block:
                return None
            is_in_extension = block != b"\x00"
            at += 1 + block[0]
        elif block == b"!":
            is_in_extension = True
            at += 2
        elif block == b",":
            return _with_first_frame(width, height, data[at + 1 : at + 9])
        else:
            return None
    return None


def _with_first_frame(width: int, height: int, frame: bytes) -> tuple[int, int] | None:
    if len(frame) < 8:
        return None
    (left, top), (wide, high) = _two_little(frame[:4]), _two_little(frame[4:])
    # A first frame that is larger than the screen makes the screen larger.
    return max(width, left + wide), max(height, top + high)


def _webp(data: bytes) -> tuple[int, int] | None:
    kind, body = data[12:16], data[20:30]
    if data[8:12] != b"WEBP" or len(body) < 10:
        return None
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = _two_little(body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8X":
        width, height = int.from_bytes(body[4:7], "little"), int.from_bytes(body[7:10], "little")
        return 1 + width, 1 + height
    return None


def _two_little(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")


def _colour_table(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


_KINDS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int] | None]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png", _png),
    (b"\xff\xd8", "jpeg", _jpeg),
    (b"GIF87a", "gif", _gif),
    (b"GIF89a", "gif", _gif),
    (b"RIFF", "webp", _webp),
)
