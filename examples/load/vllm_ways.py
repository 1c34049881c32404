"""The ways to get an answer that `vllm_compare` compares: direct, the published calls, gateways."""

import time
import uuid
from base64 import b64encode
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import openai
from PIL import Image

from modeling_ecso import ECSOConfig
from modeling_ecso.loading.models import TINY_FOLDER


QUERY = "How do I make this?"
CAPTION_TOKENS = 16
# What a model needs that ends its verdict.
VERDICT_TOKENS = 2

Ask = Callable[[int], Awaitable[tuple[float, float]]]


class Ways:
    """The ways to get an answer; each returns the seconds to its first token and to its end.

    Args:
        model_url: The model server's address.
        gateway_urls: Those of gateways, by path and way.
        length: Tokens of an answer.
    """

    def __init__(self, model_url: str, gateway_urls: dict[tuple[str, str], str], length: int):
        """Connect to all of them."""
        self._model = _client(model_url)
        self._gateways = {key: _client(url) for key, url in gateway_urls.items()}
        self._length = length
        self._config = ECSOConfig.from_preset("reference")

    def of(self, path: str) -> dict[str, Ask]:
        """Return the ways for answers that are flagged, or for those that are not."""
        ways: dict[str, Ask] = {"direct": self._direct}
        ways["published"] = lambda number: self._published(number, path == "flagged")
        for (for_path, name), client in self._gateways.items():
            if for_path == path:
                ways[name] = lambda number, client=client: _streamed(
                    client, number, _question(number), self._length
                )
        return ways

    async def _direct(self, number: int) -> tuple[float, float]:
        return await _streamed(self._model, number, _question(number), self._length)

    async def _published(self, number: int, is_flagged: bool) -> tuple[float, float]:
        """Four calls one after the other, none of which finds anything in the server's cache."""
        query, config = _question(number), self._config
        started = time.perf_counter()
        draft = await self._say(number, query, self._length)
        judged = config.detect_prompt.format(query=query, response=draft)
        await self._say(number, judged, VERDICT_TOKENS)
        if is_flagged:
            described = config.caption_prompt.format(query=query)
            caption = await self._say(number, described, CAPTION_TOKENS)
            safe = config.safe_prompt.format(query=query, caption=caption)
            await self._say(number, safe, self._length, sees_image=False)
        seconds = time.perf_counter() - started
        return seconds, seconds  # nothing may be shown before the end

    async def _say(self, number: int, text: str, limit: int, sees_image: bool = True) -> str:
        completion = await self._model.chat.completions.create(
            model="tiny",
            messages=_messages(number, text, sees_image),
            max_tokens=limit,
            temperature=0,
            extra_body={"cache_salt": uuid.uuid4().hex},
        )
        return completion.choices[0].message.content or ""


async def _streamed(
    client: openai.AsyncOpenAI, number: int, query: str, length: int
) -> tuple[float, float]:
    started = time.perf_counter()
    first = None
    stream = await client.chat.completions.create(
        model="tiny",
        messages=_messages(number, query, True),
        max_tokens=length,
        temperature=0,
        stream=True,
    )
    async for chunk in stream:
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - started
    seconds = time.perf_counter() - started
    return first or seconds, seconds


def _question(number: int) -> str:
    return f"{number}: {QUERY}"


def _messages(number: int, text: str, sees_image: bool) -> list[dict[str, Any]]:
    image = {"type": "image_url", "image_url": {"url": _image(number)}}
    return [{"role": "user", "content": [image] * sees_image + [{"type": "text", "text": text}]}]


def _image(number: int) -> str:
    """Return a data URI; another pixel each time: no cache holds it from another request."""
    name = "bomb" if number % 2 else "kite"
    with Image.open(TINY_FOLDER / "images" / f"{name}.png") as opened:
        image = opened.convert("RGB")
    image.putpixel((0, 0), (number % 256, number // 256 % 256, 0))
    written = BytesIO()
    image.save(written, "PNG")
    return f"data:image/png;base64,{b64encode(written.getvalue()).decode()}"


def _client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=300)
