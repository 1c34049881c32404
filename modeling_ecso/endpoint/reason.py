"""Why an answer is not the model's own: the one word that programs and operators go by."""

from enum import StrEnum

from ..errors_ecso import ECSOStepError
from ..events_ecso import Outcome, Step, Trace
from ..verdict_ecso import Verdict
from .model_server import ModelServerError


class Reason(StrEnum):
    """Why an answer is not the model's own, or why there is none."""

    UNSAFE = "unsafe"
    UNJUDGED = "unjudged"
    MODEL_SERVER = "model_server"


def reason_of(trace: Trace, failure: ModelServerError | None) -> Reason | None:
    """Return why an answer is not the model's own; None where it is.

    Args:
        trace: What the protocol did.
        failure: What the model server did wrong in the step that failed, if it did.
    """
    if trace.outcome is Outcome.DIRECT:
        return None
    if trace.failed_step is not None:
        # A server that refuses a verdict's prompt could have answered a shorter one.
        is_unjudged = trace.failed_step is Step.DETECT and failure and failure.is_about_prompt
        if failure is None or is_unjudged:
            return Reason.UNJUDGED
        return Reason.MODEL_SERVER
    is_unsafe = Verdict.UNSAFE in (trace.verdict, trace.safe_answer_verdict)
    return Reason.UNSAFE if is_unsafe else Reason.UNJUDGED


class EndpointStepError(ECSOStepError):
    """A step after the draft failed and ``on_error`` is ``raise``.

    Args:
        step: The step.
        reason: Whether the model server failed, or the answer could not be judged.
    """

    def __init__(self, step: Step, reason: Reason | None):
        """Say which step it was."""
        super().__init__(f"the {step.value} step could not be run, so there is no answer")
        self.reason = reason
