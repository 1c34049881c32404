"""The Inspect provider ``ecso-server/…``: the protocol over servers of the chat completions API.

    inspect eval modeling_ecso/TASK --model ecso-server/NAME -M upstream=http://HOST:8000/v1

Covered: answers come about as a gateway's do, drafts judged while they are written; several servers
share the samples; only final answers and traces reach Inspect's log, drafts and captions with
``keep_draft`` alone; a step that fails for good fails its sample, which `--resume` asks again.
Not covered: tools; several answers to one request.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput
from inspect_ai.tool import ToolChoice, ToolInfo

from ..endpoint.chat import Chat, Message
from ..endpoint.model_server import Completion, ModelServer, ServerTraits
from ..endpoint.run import EndpointRun
from ..endpoint.server_pool import ServerPool, pool_of, run_to_end
from ..endpoint.streamed_completion import OnPiece
from ..loading.images import data_uri_of
from ..settings_ecso import ECSOConfig
from .eval_run import PROTECTED
from .inspect_endpoint import asked
from .inspect_words import as_chat_takes_it, direct_output, protected_output, sampling_of
from .prerequisite import PrerequisiteError, as_prerequisite_error
from .protocol_choice import chosen_ecso_config


# Requests at a time at each server, where nothing is said.
CONNECTIONS = 16
_PAPER = ECSOConfig.from_preset("paper")


class ECSOServerProvider(ModelAPI):
    """A model on servers that answers directly or protected.

    Args:
        model_name: The model's name on the servers.
        base_url: Not used.
        api_key: Not used; the key is that of the variable ``ECSO_UPSTREAM_KEY``.
        config: Generation settings.
        upstream: Where the servers' OpenAI routes are, one or several.
        variant: ``protected`` or ``direct``.
        preset: Preset of the protocol; None: ``paper``.
        keep_draft: Whether unsafe drafts and captions are kept in the log, for study and for the
            exports.
        image_in_safe_step: Keep the image in the last step, as the published utility scripts do
            against the paper; for measurements only.
        ecso_config: Further settings of the protocol, such as `ecso calibrate` writes.
        share_drafts: Whether direct answers are kept, in this process, as drafts of protected runs,
            but for settings that judge a draft at checkpoints.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        upstream: str | Sequence[str] = (),
        variant: str = PROTECTED,
        preset: str | None = None,
        keep_draft: bool = False,
        image_in_safe_step: bool = False,
        ecso_config: dict[str, Any] | None = None,
        share_drafts: bool = False,
        **unknown: Any,
    ):
        """Check the settings; nothing is sent yet."""
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if unknown:
            raise PrerequisiteError(
                f"the ecso-server provider has no argument {', '.join(unknown)}; choose from "
                "upstream, variant, preset, keep_draft, image_in_safe_step, ecso_config, "
                "share_drafts"
            )
        urls = [upstream] if isinstance(upstream, str) else list(upstream)
        if not urls:
            raise PrerequisiteError("upstream is missing; give the URL of a server, or several")
        self._servers = len(urls)
        with as_prerequisite_error():
            self._connect = pool_of(urls, model_name)
        self._ecso_config = chosen_ecso_config(
            _PAPER, variant, preset, keep_draft, image_in_safe_step, ecso_config
        )
        if self._ecso_config is not None:
            # What is scored is the answer, as that of a direct run.
            self._ecso_config = self._ecso_config.updated({"keep_thought": False})
        self._drafts = _drafts_of(model_name) if share_drafts else None
        self._pool: ServerPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def max_connections(self) -> int:
        """Return what suits servers that batch what comes together."""
        return CONNECTIONS * self._servers

    def connection_key(self) -> str:
        """Return the model's name: its servers share a limit."""
        return self.model_name

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if self._pool is not None and self._loop is asyncio.get_running_loop():
            await self._pool.close()
            self._pool = None

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer one conversation.

        Raises:
            ValueError: The conversation cannot be put to the protocol.
            ModelServerError: No server answered.
            ECSOStepError: A step after the draft failed for good.
        """
        if tools:
            raise ValueError("the ecso-server provider has no tools; run a task without them")
        messages = [as_chat_takes_it(message) for message in input]
        messages = await asyncio.to_thread(_with_images_inside, messages)
        chat = Chat.of_messages(messages, trusts_system=True)
        return await self._pool_here().answered(partial(self._answer, chat, config))

    def _pool_here(self) -> ServerPool:
        """Return the connections of this event loop; each evaluation has another one."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._pool, self._loop = self._connect(), loop
        return self._pool

    async def _answer(self, chat: Chat, config: GenerateConfig, server: ModelServer) -> ModelOutput:
        sampling = sampling_of(config)
        fields = sampling.fields()
        # Sampled answers are other ones each time.
        drafts = None if fields.get("temperature") != 0 else self._drafts
        if self._ecso_config is None:
            said = await server.complete(chat.messages, fields)
            if drafts is not None:
                drafts[asked(chat.messages, fields)] = said
            return direct_output(self.model_name, said)
        if self._ecso_config.draft_checkpoints:
            drafts = None  # what is judged on the way has to be on its way
        draft = drafts.get(asked(chat.messages, fields)) if drafts else None
        run = EndpointRun(
            server if draft is None else _KnowsDraft(server, draft),
            chat,
            self._ecso_config,
            sampling,
        )
        await run_to_end(run)
        return protected_output(self.model_name, run, draft)


class _KnowsDraft:
    """A model server that need not write the draft of one run. Has no repr: it holds that draft."""

    def __init__(self, server: ModelServer, draft: Completion):
        self._server = server
        self._draft: Completion | None = draft

    async def traits(self, anew: bool = False) -> ServerTraits:
        return await self._server.traits(anew)

    async def complete(
        self,
        messages: Sequence[Message],
        fields: dict[str, Any],
        wants_logprobs: bool = False,
        on_piece: OnPiece | None = None,
    ) -> Completion:
        draft, self._draft = self._draft, None  # the first call is that for the draft
        return draft or await self._server.complete(messages, fields, wants_logprobs, on_piece)


@lru_cache(maxsize=1)
def _drafts_of(model_name: str) -> dict[str, Completion]:
    """Return the direct answers of a model, by what was asked."""
    return {}


def _with_images_inside(messages: list[Message]) -> list[Message]:
    """Put files into the messages; raises ECSOInputError where one cannot be read."""
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else ():
            if part["type"] == "image_url" and not part["image_url"]["url"].startswith("data:"):
                part["image_url"] = {"url": data_uri_of(Path(part["image_url"]["url"]))}
    return messages
