"""Models of OpenAI-compatible servers, with the protocol run here and the steps asked there."""

import base64
import io
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import wait
from typing import Any, cast

from anyio.from_thread import BlockingPortal

from ..endpoint.chat import Chat
from ..endpoint.openai_server import OpenAIServer
from ..endpoint.run import EndpointRun
from ..endpoint.sampling import Sampling
from ..endpoint.server_url import read_server_url
from ..events_ecso import StepEvent
from ..loading.images import open_image
from ..settings_ecso import ECSOConfig
from .demo_request import DemoRequest
from .demo_run import DemoModel, JudgedText, RunResult, StepwiseRun
from .model_list import ModelCatalog


# A list takes no computing; whoever does not give it at once is down.
LIST_TIMEOUT_S = 10.0
# How often the page shows what has been judged so far.
REFRESH_S = 0.1
# Above this, a lossless image is not worth the time it takes to send.
LARGEST_PNG_BYTES = 4_000_000


class EndpointCatalog(ModelCatalog):
    """One OpenAI-compatible server.

    Args:
        url: Where it is; ``/v1`` is added where there is no path.
        portal: Runs what is asynchronous, in a loop of its own.
        api_key: Sent to the server; None: none is needed.

    Raises:
        ECSOInputError: The URL is none.
    """

    def __init__(self, url: str, portal: BlockingPortal, api_key: str | None = None):
        """Check the URL; nothing is sent yet."""
        parts = read_server_url("--upstream", url)
        self.address = parts.netloc.rpartition("@")[2]
        self._url = url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")
        self._portal = portal
        self._api_key = api_key

    def models(self) -> list[DemoModel]:
        """Return the models it lists at this moment; see the base class."""
        names = self._portal.call(self._names)
        return [
            RemoteModel(
                f"{name} at {self.address}",
                OpenAIServer(self._url, name, api_key=self._api_key),
                self._portal,
            )
            for name in names
        ]

    async def _names(self) -> list[str]:
        server = OpenAIServer(
            self._url, "", api_key=self._api_key, timeout_s=LIST_TIMEOUT_S, retries=0
        )
        try:
            return await server.model_names()
        finally:
            await server.close()


class RemoteModel(DemoModel):
    """One model of a server.

    Args:
        name: What to call it on the page.
        server: Asks it.
        portal: Runs what is asynchronous.
    """

    def __init__(self, name: str, server: OpenAIServer, portal: BlockingPortal):
        """Take the default preset: a server stores no settings of the protocol."""
        self.name = name
        self.ecso_config = ECSOConfig.from_preset("paper")
        self._server = server
        self._portal = portal

    def start(self, request: DemoRequest) -> StepwiseRun:
        """Prepare a run; see the base class."""
        return _RemoteRun(self._server, self._portal, request)


class _JudgedSoFar:
    """Reads an answer while it is written; see `Reader`."""

    def __init__(self) -> None:
        self.text = ""

    def show_up_to(self, text: str) -> None:
        """Take the answer as far as it was judged."""
        if len(text) > len(self.text):
            self.text = text

    def withdraw(self) -> None:
        """Take note that it is not the answer after all."""
        self.text = ""


class _RemoteRun(StepwiseRun):
    """The steps of one request to a server. Shown before they are judged: no texts at all."""

    def __init__(self, server: OpenAIServer, portal: BlockingPortal, request: DemoRequest):
        images = (_data_uri(request.image),) if request.image else ()
        sampling = Sampling(
            max_tokens=request.max_new_tokens,
            temperature=request.temperature,
            top_p=request.top_p if request.temperature else None,
        )
        chat = Chat.of_one_turn(request.query, images)
        self._portal = portal
        self._judged = _JudgedSoFar()
        self._run = EndpointRun(server, chat, request.ecso_config, sampling, reader=self._judged)
        self._events = cast(AsyncGenerator[StepEvent], aiter(self._run))

    def step(self, shows_text: bool) -> Iterator[str | JudgedText | StepEvent]:
        """Run the next step; see the base class."""
        task = self._portal.start_task_soon(self._next_event)
        shown = self._judged.text
        try:
            while not wait([task], timeout=REFRESH_S).done:
                if self._judged.text != shown:
                    shown = self._judged.text
                    yield JudgedText(shown)
        finally:
            # Whoever asked may have left: nobody will read the rest.
            task.cancel()
        event = task.result()
        if self._judged.text != shown:
            yield JudgedText(self._judged.text)
        if event is not None:
            yield event

    @property
    def result(self) -> RunResult | None:
        """How the run ended; None before."""
        if not self._run.is_over:
            return None
        return RunResult(self._run.answer.text, self._run.trace)

    async def _next_event(self) -> StepEvent | None:
        event = await anext(self._events, None)
        if event is not None and event.next_step is None:
            # The page keeps the run for a vote; nothing of the draft is to live as long.
            await self._events.aclose()
        return event


def _data_uri(path: str) -> str:
    """Return an image as its pixels alone, without what a photo's file tells besides."""
    image: Any = open_image(path, "the image")
    for kind, options in (("png", {"optimize": False}), ("jpeg", {"quality": 92})):
        data = io.BytesIO()
        image.save(data, kind, **options)
        if data.tell() <= LARGEST_PNG_BYTES:
            break
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
