"""`ECSOLlavaConfig`: LLaVA's configuration plus the ECSO settings, under ``ecso``.

In the repository of another family this file holds that family's configuration in its place.
"""

from typing import Any

from .requirements_ecso import check_requirements  # first: says what is missing


# isort: split
from transformers.models.llava.configuration_llava import LlavaConfig

from .family_config_ecso import FamilyConfig, list_for_serving


class ECSOLlavaConfig(FamilyConfig, LlavaConfig):
    """Configuration of `ECSOLlavaForConditionalGeneration`.

    Takes what `LlavaConfig` takes, and ``ecso`` and ``weights_from``; see `FamilyConfig`.

    Raises:
        ECSOConfigError: A setting under ``ecso`` is missing, unknown or not allowed, or
            ``weights_from`` is malformed.
    """

    model_type = "ecso_llava"

    ecso: Any = None  # an ECSOConfig from the first assignment on
    weights_from: dict | None = None


# Before it loads a model, `transformers serve` looks these lists up, and has loaded this file by
# then. The installed package is found through the Auto classes instead: once they know its type,
# they take every listed class for one of transformers' own.
if __name__.startswith("transformers_modules."):
    list_for_serving(ECSOLlavaConfig.model_type, "ECSOLlavaForConditionalGeneration")
