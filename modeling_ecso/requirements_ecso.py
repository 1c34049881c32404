"""Says in one sentence which transformers this code needs, before anything else fails.

The protocol steps between a model and its `generate()`, where transformers has no public way in.
What is used of its inner parts is looked for here, when the code is loaded, not when a draft is
already written.
"""

import inspect
from importlib import import_module

import transformers
from transformers import GenerationMixin

from .errors_ecso import ECSORequirementError


NEEDED = "transformers 5.23 or a later 5.x"

# What the code relies on that transformers does not promise to keep, by where it is.
_INNER_PARTS: tuple[tuple[str, str | None, str], ...] = (
    ("generation.utils", "GenerationMixin", "_prepare_generation_config"),
    ("generation.utils", "GenerationMixin", "init_continuous_batching"),
    ("generation.utils", "GenerationMixin", "_supports_mm_encoder_outputs"),
    ("generation.utils", "GenerationMixin", "_prepare_multimodal_encoder_kwargs_for_generation"),
    ("generation.utils", "GenerationMixin", "_prepare_position_ids_for_generation"),
    ("generation.utils", "GenerationMixin", "prepare_inputs_for_generation"),
    ("generation.configuration_utils", "GenerationConfig", "_get_default_generation_params"),
    ("generation.configuration_utils", "GenerationConfig", "update"),
    ("cache_utils", "DynamicCache", "reorder_cache"),
    ("cache_utils", "DynamicSlidingWindowLayer", "is_sliding"),
    ("cache_utils", "DynamicLayer", "lazy_initialization"),
    ("cache_utils", "DynamicLayer", "crop"),
    ("cache_utils", "DynamicLayer", "get_seq_length"),
    ("conversion_mapping", None, "get_checkpoint_conversion_mapping"),
    ("conversion_mapping", None, "register_checkpoint_conversion_mapping"),
)


def check_requirements(version: str = transformers.__version__) -> None:
    """Let the import go on if this transformers has what the protocol needs.

    Args:
        version: That of transformers.

    Raises:
        ECSORequirementError: It is another version, or lacks an inner part; says which and what to
            do.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (5, 23) or major > 5:
        raise ECSORequirementError(
            f"ECSO needs {NEEDED}, and this is {version}; run: pip install 'transformers>=5.23,<6'"
        )
    for module, owner, name in _INNER_PARTS:
        try:
            place = import_module(f"transformers.{module}")
            found = hasattr(getattr(place, owner) if owner else place, name)
        except (ImportError, AttributeError):
            found = False
        if not found:
            raise ECSORequirementError(
                f"ECSO needs {owner or module}.{name} of transformers, which {version} no longer "
                "has; run: pip install 'transformers>=5.23,<5.24'"
            )


check_requirements()

# What `generate()` and `forward()` call the cache of keys and values: transformers 5.24 renames it.
CACHE_ARGUMENT = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
