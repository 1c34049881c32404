"""The Inspect provider ``ecso-api/…``: the protocol in front of any other Inspect provider.

    inspect eval modeling_ecso/TASK --model ecso-api/openai/gpt-4o -M preset=hardened

Covered: only the final answer and the trace reach Inspect's log; drafts and captions do not, but
for a trace with ``keep_draft``. A step that fails for good fails its sample, which `--resume` asks
again: a refusal in its place would count as the model's merit.
Not covered: tools; several answers to one request; drafts are judged when they are
complete, since providers do not stream to their caller.
"""

import asyncio
from contextvars import Context
from functools import lru_cache
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    get_model,
)
from inspect_ai.tool import ToolChoice, ToolInfo
from rich.markup import escape

from ..endpoint.chat import Chat
from ..endpoint.model_server import Completion
from ..endpoint.run import EndpointRun
from ..settings_ecso import ECSOConfig
from .eval_run import PROTECTED
from .inspect_endpoint import InspectEndpoint, asked
from .inspect_words import as_chat_takes_it, direct_output, protected_output, sampling_of
from .prerequisite import PrerequisiteError
from .protocol_choice import chosen_ecso_config


_PAPER = ECSOConfig.from_preset("paper")


class ECSOAPIProvider(ModelAPI):
    """Another provider's model that answers directly or protected.

    Args:
        model_name: The other model, such as ``openai/gpt-4o``.
        base_url: For the other provider.
        api_key: For the other provider.
        config: Generation settings.
        variant: ``protected`` or ``direct``.
        preset: Preset of the protocol; None: ``paper``.
        keep_draft: Whether unsafe drafts and captions are kept in the log, for study and for the
            exports.
        image_in_safe_step: Keep the image in the last step, as the published utility scripts do
            against the paper; for measurements only.
        ecso_config: Further settings of the protocol, such as `ecso calibrate` writes.
        share_drafts: Whether direct answers are kept, in this process, as drafts of protected runs.
        model_args: For the other provider.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        variant: str = PROTECTED,
        preset: str | None = None,
        keep_draft: bool = False,
        image_in_safe_step: bool = False,
        ecso_config: dict[str, Any] | None = None,
        share_drafts: bool = False,
        **model_args: Any,
    ):
        """Load the other provider and check the settings."""
        config = config or GenerateConfig()
        super().__init__(model_name, base_url, api_key, [], config)
        if "/" not in model_name or model_name.startswith("ecso"):
            raise PrerequisiteError(
                f"{escape(model_name)}: no model of another provider; name it as Inspect does, "
                "PROVIDER/NAME"
            )
        self._ecso_config = chosen_ecso_config(
            _PAPER, variant, preset, keep_draft, image_in_safe_step, ecso_config
        )
        try:
            model = get_model(
                model_name, config=config, base_url=base_url, api_key=api_key, **model_args
            )
        except (ValueError, TypeError) as error:
            raise PrerequisiteError(escape(f"{model_name} cannot be had: {error}")) from None
        self._api = model.api
        self._drafts = _drafts_of(model_name, base_url) if share_drafts else None
        # Only a verdict from logits makes it worth asking.
        wants_logprobs = (
            self._ecso_config is not None and self._ecso_config.verdict_rule == "logits"
        )
        self._gives_logprobs: bool | None = None if wants_logprobs else False

    def max_connections(self) -> int:
        """Return what suits the other provider."""
        return self._api.max_connections()

    def connection_key(self) -> str:
        """Return the other provider's key, so that its limits are shared."""
        return self._api.connection_key()

    def max_tokens(self) -> int | None:
        """Return the other provider's limit."""
        return self._api.max_tokens()

    async def aclose(self) -> None:
        """Close the other provider."""
        await self._api.aclose()

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
            ECSOStepError: A step after the draft failed for good.
            Whatever the other provider raises before there is a draft.
        """
        if tools:
            raise ValueError("the ecso-api provider has no tools; run a task without them")
        chat = Chat.of_messages([as_chat_takes_it(m) for m in input], trusts_system=True)
        # What the other provider reports to Inspect while it streams would end in this call's
        # log entry, drafts included. In an empty context it finds nobody to report to.
        answering = self._answer(chat, config)
        return await asyncio.create_task(answering, context=Context())

    async def _answer(self, chat: Chat, config: GenerateConfig) -> ModelOutput:
        fields = sampling_of(config).fields()
        # Sampled answers are other ones each time.
        drafts = None if fields.get("temperature") != 0 else self._drafts
        endpoint = InspectEndpoint(self._api, config, self._gives_logprobs, drafts)
        if self._ecso_config is None:
            completion = await endpoint.complete(chat.messages, fields)
            if drafts is not None:
                drafts[asked(chat.messages, fields)] = completion
            return direct_output(self.model_name, completion)
        run = EndpointRun(endpoint, chat, self._ecso_config, sampling_of(config))
        async for _ in run:
            pass
        self._gives_logprobs = (await endpoint.traits()).gives_logprobs
        draft = drafts.get(asked(chat.messages, fields)) if drafts else None
        return protected_output(self.model_name, run, draft)


@lru_cache(maxsize=1)
def _drafts_of(model_name: str, base_url: str | None) -> dict[str, Completion]:
    """Return the direct answers of a model, by what was asked."""
    return {}
