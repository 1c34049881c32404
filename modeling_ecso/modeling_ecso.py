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
    AutoProcessor,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from .answer_ecso import GeneratedAnswer
from .call_ecso import Call
from .chat_template_ecso import ChatTemplate
from .checkpoints_ecso import Checkpoints
from .configuration_ecso import ECSOLlavaConfig
from .conversation_ecso import ConversationReader
from .errors_ecso import ECSOError
from .events_ecso import Trace
from .family_config_ecso import list_for_serving
from .family_model_ecso import FamilyModel, make_known
from .generation_ecso import ECSOGenerationMixin
from .image_format_ecso import probe_images
from .inputs_ecso import StepInputs
from .isolation_ecso import CallersView
from .outputs_ecso import ECSOGenerateOutput
from .prefix_cache_ecso import PrefixCache
from .prefix_first_ecso import PrefixFirst
from .presets_ecso import PRESETS
from .prompt_format_ecso import PromptFormat
from .prompts_ecso import detect_prompts
from .protect_ecso import protect
from .protocol_ecso import Protocol
from .reply_ecso import ReplyReader
from .request_ecso import read_call
from .run_ecso import ProtectedRun
from .settings_ecso import ECSOConfig
from .sharing_ecso import MAY_SHARE
from .sources_ecso import find_processor
from .step_batch_ecso import StepBatch
from .steps_ecso import Steps
from .stream_ecso import AnswerStream
from .thought_ecso import Thoughts
from .token_tensors_ecso import TokenTensors
from .verdict_ecso import Verdict
from .vision_ecso import read_images


class ECSOLlavaForConditionalGeneration(FamilyModel, LlavaForConditionalGeneration):
    """LLaVA, protected: same weights, same `forward`, another `generate()`.

    `from_pretrained` takes ECSO checkpoints and stock LLaVA ones alike; the latter get the
    ``paper`` preset. Weights keep the layout of stock checkpoints, in both directions.

    Args:
        config: An `ECSOLlavaConfig`.

    Raises:
        ECSOConfigError: The configuration holds no ECSO settings.
    """

    config_class = ECSOLlavaConfig
    processor_class: Any = LlavaProcessor

    def __init__(self, config: Any, *args: Any, **kwargs: Any):
        """Build the model, whose processor is the one that its files name if it is a Pixtral."""
        super().__init__(config, *args, **kwargs)
        if config.vision_config.model_type == "pixtral":
            self.processor_class = AutoProcessor


make_known(ECSOLlavaConfig, ECSOLlavaForConditionalGeneration, LlavaForConditionalGeneration)

# The installed package also makes itself known to the Auto classes: tokenizers and processors look
# a model's type up there. Code from the Hub must not, or it would stand in for that of the next
# repository loaded in the same process.
if not __name__.startswith("transformers_modules."):
    list_for_serving(ECSOLlavaConfig.model_type, None)
    AutoConfig.register(ECSOLlavaConfig.model_type, ECSOLlavaConfig, exist_ok=True)
    for auto_class in (AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM):
        auto_class.register(ECSOLlavaConfig, ECSOLlavaForConditionalGeneration, exist_ok=True)
