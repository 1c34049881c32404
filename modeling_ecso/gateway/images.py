"""Lets images in: data URIs of a known kind, checked for size before a pixel is decoded.

Covered: what claims to be an image and is none, too many bytes, too many pixels (read from the
header; the gateway itself never decodes one).
Not covered: what the image shows, and damage behind its header: the model server's to refuse.
"""

import asyncio
import base64
import binascii
import io
import re

from ..endpoint.chat import Message
from .config import Limits
from .errors import RequestError
from .image_fetch import ImageFetcher


_DATA_URI = re.compile(r"data:image/(?:png|jpe?g|webp|gif);base64,", re.IGNORECASE)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# From here on checking takes longer than handing it to a thread.
_LARGE_CHARS = 200_000


class ImageGuard:
    """Checks the images of conversations.

    Args:
        limits: Sizes and number of images.
        fetcher: Fetches images from the hosts that are allowed.
    """

    def __init__(self, limits: Limits, fetcher: ImageFetcher):
        """Keep the limits."""
        self._limits = limits
        self._fetcher = fetcher

    async def admit(self, messages: list[Message]) -> list[Message]:
        """Return messages whose images are data URIs that have been checked.

        Raises:
            RequestError: An image cannot be taken; the message says which and why.
        """
        count = 0
        admitted = []
        for i, message in enumerate(messages):
            content = message["content"]
            if isinstance(content, list):
                parts = []
                for j, part in enumerate(content):
                    if part["type"] == "image_url":
                        count += 1
                        if count > self._limits.images:
                            raise _refused(f"more than {self._limits.images} images", "messages")
                        at = f"messages[{i}].content[{j}].image_url"
                        url = await self._admit_one(part["image_url"]["url"], at)
                        part = {**part, "image_url": {**part["image_url"], "url": url}}
                    parts.append(part)
                message = {**message, "content": parts}
            admitted.append(message)
        return admitted

    async def _admit_one(self, url: str, at: str) -> str:
        if url[:5].lower() == "data:":
            if len(url) < _LARGE_CHARS:
                return self._checked(url, at)
            return await asyncio.to_thread(self._checked, url, at)
        data = await self._fetcher.fetch(url, at, self._limits.image_bytes)
        kind = await asyncio.to_thread(self._kind, data, at)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

    def _checked(self, url: str, at: str) -> str:
        found = _DATA_URI.match(url)
        if not found:
            raise _refused("only data URIs of PNG, JPEG, WebP or GIF in base64 are taken", at)
        payload = url[found.end() :]
        if len(payload) > self._limits.image_bytes * 4 // 3 + 4:
            raise _too_large(f"more than {self._limits.image_bytes} bytes", at)
        try:
            data = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            data = None
        if data is None:
            raise _refused("the base64 of the data URI is damaged", at)
        return f"data:image/{self._kind(data, at)};base64,{payload}"

    def _kind(self, data: bytes, at: str) -> str:
        """Return the kind of image that the bytes are, whatever their sender calls it."""
        from PIL import Image

        size = None
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                size, kind = image.size, str(image.format).lower()
        except Image.DecompressionBombError:
            size = (self._limits.image_pixels + 1, 1)
        except Exception:  # readers of damaged files raise whatever they stumble over
            pass
        if size is None:
            raise _refused("not an image that can be read; send PNG, JPEG, WebP or GIF", at)
        if size[0] * size[1] > self._limits.image_pixels:
            raise _too_large(f"more than {self._limits.image_pixels} pixels", at)
        return kind


def _refused(why: str, at: str) -> RequestError:
    return RequestError("invalid_image", f"{at}: {why}", at)


def _too_large(why: str, at: str) -> RequestError:
    return RequestError("image_too_large", f"{at}: {why}; make it smaller", at)
