"""Models of OpenAI-compatible servers, with the protocol run here and the steps asked there."""

import base64
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from anyio.from_thread import BlockingPortal

from ..endpoint.chat import Chat
from ..endpoint.model_server import ModelServerError
from ..endpoint.openai_server import OpenAIServer
from ..endpoint.run import EndpointRun, Sampling
from ..errors_ecso import ECSOInputError
from ..events_ecso import StepEvent
from ..loading.images import open_image
from ..settings_ecso import ECSOConfig
from .model_list import ModelSource
from .question import Question
from .watched_run import AnsweringModel, Result, StepSource


# A list takes no computing; whoever does not give it at once is down.
LIST_TIMEOUT_S = 10.0
# Above this, a lossless image is not worth the time it takes to send.
LARGEST_PNG_BYTES = 4_000_000


class EndpointSource(ModelSource):
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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ECSOInputError(
                f"--endpoint {url}: no address; give one such as http://HOST:8000/v1"
            )
        self._address = parts.netloc.rpartition("@")[2]
        self._url = url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")
        self._portal = portal
        self._api_key = api_key

    def models(self) -> list[AnsweringModel]:
        """Return the models it lists at this moment; see the base class."""
        try:
            names = self._portal.call(self._names)
        except ModelServerError as error:
            raise ECSOInputError(f"No models from {self._address}: {error}.") from None
        return [
            EndpointModel(
                f"{name} at {self._address}",
                OpenAIServer(self._url, name, api_key=self._api_key),
                self._portal,
            )
            for name in names
        ]

    async def _names(self) -> list[str]:
        upstream = OpenAIServer(
            self._url, "", api_key=self._api_key, timeout_s=LIST_TIMEOUT_S, retries=0
        )
        try:
            return await upstream.model_names()
        finally:
            await upstream.close()


class EndpointModel(AnsweringModel):
    """One model of a server.

    Args:
        name: What to call it on the page.
        upstream: Asks it.
        portal: Runs what is asynchronous.
    """

    def __init__(self, name: str, upstream: OpenAIServer, portal: BlockingPortal):
        """Take the settings of the default preset: a server stores none."""
        self.name = name
        self.stored_settings = ECSOConfig.from_preset("paper")
        self._upstream = upstream
        self._portal = portal

    def start(self, question: Question) -> StepSource:
        """Prepare a run; see the base class."""
        return _EndpointSource(self._upstream, self._portal, question)


class _EndpointSource(StepSource):
    """The steps of one question to a server. Texts come whole: no draft is streamed."""

    def __init__(self, upstream: OpenAIServer, portal: BlockingPortal, question: Question):
        images = (_data_uri(question.image),) if question.image else ()
        sampling = Sampling(
            max_tokens=question.max_new_tokens,
            temperature=question.temperature,
            top_p=question.top_p if question.temperature else None,
        )
        chat = Chat.of_one_turn(question.text, images)
        self._portal = portal
        self._run = EndpointRun(upstream, chat, question.settings, sampling)
        self._events = aiter(self._run)

    def step(self) -> Iterator[str | StepEvent]:
        """Run the next step; see the base class."""
        try:
            event = self._portal.call(self._next_event)
        except ModelServerError as error:
            raise ECSOInputError(f"There is no answer: {error}.") from None
        if event is not None:
            yield event

    @property
    def result(self) -> Result | None:
        """How the run ended; None before."""
        if not self._run.is_over:
            return None
        return Result(self._run.answer.text, self._run.trace)

    async def _next_event(self) -> StepEvent | None:
        event = await anext(self._events, None)
        if event is not None and event.outcome is not None:
            await anext(self._events, None)  # puts the answer together
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
