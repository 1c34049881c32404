"""`ECSOLlavaForConditionalGeneration`: LLaVA whose `generate()` protects by itself.

Every module that ships is imported here by name: transformers copies remote code by following
these lines, and follows them one level deep when it loads from a local folder.
"""

from typing import Any

from .requirements_ecso import check_requirements  # first: says what is missing


# isort: split
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)
from transformers.utils import logging

from .call_ecso import Call
from .chat_template_ecso import ChatTemplate
from .configuration_ecso import ECSOLlavaConfig, list_for_serving
from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOConfigError
from .events_ecso import Trace
from .generation_ecso import ECSOGenerationMixin
from .image_format_ecso import learn_images
from .inputs_ecso import StepInputs
from .isolation_ecso import CallersView
from .outputs_ecso import ECSOGenerateOutput
from .prefix_cache_ecso import PrefixCache
from .prefix_first_ecso import PrefixFirst
from .presets_ecso import PRESETS
from .prompts_ecso import detect_prompts
from .protect_ecso import protect
from .protocol_ecso import Protocol
from .reply_ecso import ReplyReader
from .request_ecso import read_call
from .run_ecso import ProtectedRun
from .settings_ecso import ECSOConfig
from .sharing_ecso import MAY_SHARE
from .sources_ecso import BorrowedWeights, RememberSource
from .steps_ecso import Steps
from .thought_ecso import Thoughts
from .token_tensors_ecso import TokenTensors
from .verdict_ecso import Verdict
from .vision_ecso import read_images


logger = logging.get_logger(__name__)

AUTO_MAP = {
    "AutoConfig": "configuration_ecso.ECSOLlavaConfig",
    "AutoModel": "modeling_ecso.ECSOLlavaForConditionalGeneration",
    "AutoModelForImageTextToText": "modeling_ecso.ECSOLlavaForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_ecso.ECSOLlavaForConditionalGeneration",
}


class ECSOLlavaForConditionalGeneration(
    ECSOGenerationMixin, RememberSource, BorrowedWeights, LlavaForConditionalGeneration
):
    """LLaVA, protected: same weights, same `forward`, another `generate()`.

    `from_pretrained` takes ECSO checkpoints and stock LLaVA ones alike; the latter get the
    ``paper`` preset. Weights keep the layout of stock checkpoints, in both directions.

    Args:
        config: An `ECSOLlavaConfig`.

    Raises:
        ECSOConfigError: The configuration holds no ECSO settings.
    """

    config_class = ECSOLlavaConfig
    processor_class = LlavaProcessor

    def __init__(self, config: ECSOLlavaConfig):
        """Build the model; warn where its stored settings leave it unprotected."""
        if getattr(config, "ecso", None) is None:
            raise ECSOConfigError(
                f"the model needs an ECSOLlavaConfig, not a {type(config).__name__}; load it with "
                "ECSOLlavaConfig.from_pretrained(), which takes stock LLaVA configurations too"
            )
        super().__init__(config)
        if not config.ecso.enabled:
            logger.warning(
                "ECSO is switched off in this model's configuration (ecso.enabled is false): its "
                "answers are NOT protected. Set config.ecso.enabled = True, or call "
                "generate(ecso=True)."
            )

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """Save as any transformers model, with the code that every Auto class loads it by."""
        self.config.auto_map = dict(AUTO_MAP)  # and nothing that a base named
        return super().save_pretrained(save_directory, *args, **kwargs)


# transformers converts the keys of stock LLaVA checkpoints for its own classes only. Without this
# line the output layer of a loaded model would be random, with a mere warning.
register_checkpoint_conversion_mapping(
    ECSOLlavaForConditionalGeneration.__name__,
    get_checkpoint_conversion_mapping("llava"),
    overwrite=True,
)
# Written into config.json on save, so that the Auto classes find the code beside it.
ECSOLlavaConfig.register_for_auto_class("AutoConfig")
ECSOLlavaForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

# The installed package also makes itself known to the Auto classes: tokenizers and processors look
# a model's type up there. Code from the Hub must not, or it would stand in for that of the next
# repository loaded in the same process.
if not __name__.startswith("transformers_modules."):
    list_for_serving(None)
    AutoConfig.register(ECSOLlavaConfig.model_type, ECSOLlavaConfig, exist_ok=True)
    for auto_class in (AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM):
        auto_class.register(ECSOLlavaConfig, ECSOLlavaForConditionalGeneration, exist_ok=True)
