"""Lets images in: data URIs, checked for kind and size without a pixel being decoded.

Covered: what claims to be an image and is none, too many bytes, too many pixels. What is an image
in base64 is taken, whatever its sender calls it and however the base64 is laid out, and goes on
under its right name.
Not covered: what the image shows, and damage behind its header: the model server's to refuse.
"""

import asyncio
import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from ..endpoint.chat import Message
from .config import Limits
from .errors import RequestError
from .image_fetch import ImageFetcher
from .image_header import read_header


# The type and its parameters say nothing that the bytes do not say better.
_DATA_URI = re.compile(r"data:.{0,300}?;\s*base64\s*,", re.IGNORECASE | re.DOTALL)
# Both alphabets of base64, by one name.
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\f\v"
# What may stand before and behind an address that was read from a file.
_AROUND = " \t\r\n\f\v\ufeff\u200b"


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
        places = [
            (i, j)
            for i, message in enumerate(messages)
            if isinstance(message["content"], list)
            for j, part in enumerate(message["content"])
            if part["type"] == "image_url"
        ]
        if len(places) > self._limits.images:
            raise _refused(f"more than {self._limits.images} images", "messages")
        admitted = list(messages)
        for i, j in places:
            content = list(admitted[i]["content"])
            image = content[j]["image_url"]
            url = await self._admit_one(image["url"], f"messages[{i}].content[{j}].image_url")
            content[j] = {"type": "image_url", "image_url": {**image, "url": url}}
            admitted[i] = {**admitted[i], "content": content}
        return admitted

    async def _admit_one(self, url: str, at: str) -> str:
        url = url.strip(_AROUND)
        if url[:5].lower() == "data:":
            return await asyncio.to_thread(self._from_data_uri, url, at)
        data = await self._fetcher.fetch(url, at, self._limits.image_bytes)
        return await asyncio.to_thread(self._checked, data, at)

    def _from_data_uri(self, url: str, at: str) -> str:
        found = _DATA_URI.match(url)
        if not found:
            raise _refused("only data URIs in base64 are taken", at)
        payload = url[found.end() :].encode("utf-8", "replace")
        if b"%" in payload:
            payload = unquote_to_bytes(payload)
        payload = payload.translate(_ONE_ALPHABET, _BLANKS).rstrip(b"=")
        if len(payload) * 3 // 4 > self._limits.image_bytes:
            raise self._too_large(at)
        data = None
        try:
            data = base64.b64decode(payload + b"=" * (-len(payload) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
        if data is None:
            raise _refused("the base64 of the data URI is damaged", at)
        return self._checked(data, at)

    def _checked(self, data: bytes, at: str) -> str:
        """Return an image as a data URI that says what its bytes are."""
        if len(data) > self._limits.image_bytes:
            raise self._too_large(at)
        header = read_header(data)
        if header is None:
            raise _refused("not an image that can be read; send PNG, JPEG, WebP or GIF", at)
        if header.width * header.height > self._limits.image_pixels:
            raise _too_large(f"more than {self._limits.image_pixels} pixels", at)
        return f"data:image/{header.kind};base64,{base64.b64encode(data).decode()}"

    def _too_large(self, at: str) -> RequestError:
        return _too_large(f"more than {self._limits.image_bytes} bytes", at)


def _refused(why: str, at: str) -> RequestError:
    return RequestError("invalid_image", f"{at}: {why}", at)


def _too_large(why: str, at: str) -> RequestError:
    return RequestError("image_too_large", f"{at}: {why}; make it smaller", at)
