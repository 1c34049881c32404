"""ECSO-LLaVA: vision-language models whose `generate()` protects by itself.

Names are imported when they are first used, so that `ecso --help` does not wait for torch. Code
loaded from the Hub does not come through this file; see `modeling_ecso.modeling_ecso`.
"""

from importlib import import_module
from typing import Any


__version__ = "0.2.0"

_HOMES = {
    "configuration_ecso": ("ECSOLlavaConfig",),
    "errors_ecso": (
        "ECSOConfigError",
        "ECSOError",
        "ECSOInputError",
        "ECSOProcessorError",
        "ECSOProtocolError",
        "ECSORequirementError",
        "ECSOStepError",
        "ECSOWeightsError",
    ),
    "generation_ecso": ("ECSOGenerationMixin",),
    "modeling_ecso": ("ECSOLlavaForConditionalGeneration",),
    "outputs_ecso": ("ECSOGenerateBeamOutput", "ECSOGenerateOutput"),
    "protect_ecso": ("protect",),
    "protocol_ecso": ("Protocol",),
    "run_ecso": ("ProtectedRun",),
    "settings_ecso": ("ECSOConfig",),
    "events_ecso": (
        "DirectAsk",
        "FollowUpAsk",
        "ImageAsk",
        "Outcome",
        "PromptAsk",
        "Step",
        "StepEvent",
        "StepRecord",
        "StepReply",
        "TextAsk",
        "Trace",
    ),
    "verdict_ecso": ("Verdict",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    """Import a public name from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
