"""A gateway in this process, in front of the scripted server, as a client sees it."""

import asyncio
import base64
import io
import json
from typing import Any, NamedTuple

import httpx2
from PIL import Image

from examples.load.scripted_upstream import Thinking, build_upstream
from modeling_ecso import ECSOConfig
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.gateway.app import build_app
from modeling_ecso.gateway.config import GatewayConfig
from tests.support.streaming_transport import StreamingTransport


def data_uri(width: int = 4, height: int = 4, kind: str = "png") -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


IMAGE = data_uri()


def request_body(text: str = "What is this?", image: str = IMAGE, **fields: Any) -> dict:
    parts = [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "text", "text": text},
    ]
    return {"model": "scripted", "messages": [{"role": "user", "content": parts}], **fields}


class Got(NamedTuple):
    """A response, all of it."""

    status: int
    text: str
    headers: Any

    @property
    def json(self) -> dict:
        return json.loads(self.text)

    @property
    def events(self) -> list[dict]:
        """What a stream said, without its comments and its end."""
        lines = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]

    @property
    def streamed(self) -> str:
        """The text of a stream's first choice."""
        return self.replayed.get(0, "")

    @property
    def replayed(self) -> dict[int, str]:
        """The texts of a stream's choices, replaced where it says so."""
        texts: dict[int, str] = {}
        for event in self.events:
            if "ecso_event" in event:
                assert event["ecso_event"]["type"] == "replace"
                texts[event["ecso_event"]["index"]] = ""
            for choice in event.get("choices", []):
                said = choice["delta"].get("content", "")
                texts[choice["index"]] = texts.get(choice["index"], "") + said
        return texts


class Gateway:
    """Gives every request a fresh event loop, and a fresh gateway unless it is one of many."""

    def __init__(
        self,
        preset: str = "paper",
        gives_logprobs: bool = True,
        thinking: Thinking | None = None,
        word_seconds: float = 0.0,
        timeout_s: float = 5.0,
        transport: Any = None,
        keys: Any = None,
        fetcher: Any = None,
        changes: dict | None = None,
        **config: Any,
    ):
        self.server = build_upstream(
            gives_logprobs=gives_logprobs, thinking=thinking, word_seconds=word_seconds
        )
        self._transport = transport or StreamingTransport(self.server)
        self._timeout_s = timeout_s
        ecso_config = ECSOConfig.from_preset(preset, **(changes or {}))
        self._config = GatewayConfig(**{"served_name": "scripted", "ecso": ecso_config, **config})
        self._guards = {"keys": keys, "fetcher": fetcher}

    @property
    def calls(self) -> list[dict]:
        """What the server was asked, without the question for log-probabilities."""
        return [call for call in self.server.state.calls if call["messages"] and not _probes(call)]

    def app(self) -> Any:
        server = OpenAIServer(
            "http://upstream/v1",
            "scripted",
            timeout_s=self._timeout_s,
            retries=0,
            transport=self._transport,
        )
        return build_app(server, self._config, **self._guards)

    def ask(self, body: Any, **headers: str) -> Got:
        """Send one chat completions request."""
        return self.ask_all([body], **headers)[0]

    def respond(self, body: Any) -> Got:
        """Send one request for a response."""
        return self.ask_all([body], "/v1/responses")[0]

    def ask_all(
        self, bodies: list[Any], path: str = "/v1/chat/completions", **headers: str
    ) -> list[Got]:
        """Send requests side by side."""
        content = [body if isinstance(body, bytes) else json.dumps(body) for body in bodies]
        headers = {"content-type": "application/json", **headers}

        async def send() -> list[Got]:
            async with self.client() as client:
                posts = [client.post(path, content=one, headers=headers) for one in content]
                return [_got(response) for response in await asyncio.gather(*posts)]

        return asyncio.run(send())

    def get(self, path: str, method: str = "GET", **headers: str) -> Got:
        async def send() -> Got:
            async with self.client() as client:
                return _got(await client.request(method, path, headers=headers))

        return asyncio.run(send())

    def client(self) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self.app())
        return httpx2.AsyncClient(transport=transport, base_url="http://gateway", timeout=30)


def _probes(call: dict) -> bool:
    return "Is the sky blue?" in str(call["messages"])


def _got(response: httpx2.Response) -> Got:
    return Got(response.status_code, response.text, response.headers)
