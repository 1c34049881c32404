"""ECSO-LLaVA: vision-language models whose `generate()` protects by itself.

Code loaded from the Hub does not come through this file; see `modeling_ecso.modeling_ecso`.
"""

from .configuration_ecso import ECSOLlavaConfig
from .errors_ecso import (
    ECSOConfigError,
    ECSOError,
    ECSOInputError,
    ECSOProcessorError,
    ECSOProtocolError,
    ECSOStepError,
)
from .generation_ecso import ECSOGenerationMixin
from .modeling_ecso import ECSOLlavaForConditionalGeneration
from .outputs_ecso import ECSOGenerateBeamOutput, ECSOGenerateOutput
from .protocol_ecso import Protocol
from .run_ecso import ProtectedRun, StepEvent
from .settings_ecso import ECSOConfig
from .trace_ecso import Outcome, Step, StepRecord, Trace
from .verdict_ecso import Verdict


__all__ = [
    "ECSOConfig",
    "ECSOConfigError",
    "ECSOError",
    "ECSOGenerateBeamOutput",
    "ECSOGenerateOutput",
    "ECSOGenerationMixin",
    "ECSOInputError",
    "ECSOLlavaConfig",
    "ECSOLlavaForConditionalGeneration",
    "ECSOProcessorError",
    "ECSOProtocolError",
    "ECSOStepError",
    "Outcome",
    "ProtectedRun",
    "Protocol",
    "Step",
    "StepEvent",
    "StepRecord",
    "Trace",
    "Verdict",
]
