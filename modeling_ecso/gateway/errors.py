"""What a client is told when there is no answer: one sentence, in the shape of the OpenAI API.

Two tables say it all: `_CODES` what goes out for a code, `_OF_ERRORS` the code of an error that
the gateway did not raise itself. To add a code, add a line.
"""

from enum import StrEnum
from typing import Any, NamedTuple

from ..endpoint.model_server import Fault, ModelServerError
from ..endpoint.reason import Reason
from ..errors_ecso import ECSOInputError, ECSOStepError


class Blame(StrEnum):
    """Whose matter it is that there is no answer, where it is not the model server's."""

    REQUEST = "request"
    GATEWAY = "gateway"


class _ErrorSent(NamedTuple):
    """What goes out for a code."""

    status: int
    type: str = "invalid_request_error"
    reason: Blame | Reason = Blame.REQUEST
    headers: dict[str, str] = {}


def _of_model_server(status: int, headers: dict[str, str] | None = None) -> _ErrorSent:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _ErrorSent(status, kind, Reason.MODEL_SERVER, headers or {})


_AGAIN_SOON = {"Retry-After": "1"}
_CODES = {
    "invalid_json": _ErrorSent(400),
    "invalid_value": _ErrorSent(400),
    "unsupported": _ErrorSent(400),
    "invalid_image": _ErrorSent(400),
    "invalid_api_key": _ErrorSent(401, headers={"WWW-Authenticate": "Bearer"}),
    "model_not_found": _ErrorSent(404),
    "no_such_route": _ErrorSent(404),
    "method_not_allowed": _ErrorSent(405),
    "body_timeout": _ErrorSent(408),
    "body_too_large": _ErrorSent(413),
    "image_too_large": _ErrorSent(413),
    "unsupported_media_type": _ErrorSent(415),
    "text_too_large": _ErrorSent(413),
    "too_many_requests": _ErrorSent(429, "rate_limit_error", Blame.GATEWAY, _AGAIN_SOON),
    "internal_error": _ErrorSent(500, "server_error", Blame.GATEWAY),
    "ecso_step_failed": _of_model_server(502),
    "ecso_not_judged": _ErrorSent(502, "server_error", Reason.UNJUDGED),
    "model_server_refused": _of_model_server(400),
    "model_server_busy": _of_model_server(503, _AGAIN_SOON),
    "model_server_not_ready": _of_model_server(503),
    "model_server_timeout": _of_model_server(504),
    "model_server_unreachable": _of_model_server(502),
    "model_server_status": _of_model_server(502),
    "model_server_malformed": _of_model_server(502),
    "model_server_empty": _of_model_server(502),
    "model_server_thought_only": _of_model_server(502),
    "model_server_broken_off": _of_model_server(502),
    "model_server_too_large": _of_model_server(502),
}


def status_of(code: str) -> int:
    """Return the HTTP status of a code."""
    return _CODES[code].status


def statuses() -> list[int]:
    """Return every HTTP status that an error may have."""
    return sorted({sent.status for sent in _CODES.values()})


class RequestError(ECSOInputError):
    """A request that gets no answer. The message never quotes a prompt, an image or a draft.

    Args:
        code: A word for programs; settles the HTTP status.
        message: What is wrong, and what to do.
        param: The field that is to blame, such as ``messages[0].content``.
    """

    def __init__(self, code: str, message: str, param: str | None = None):
        """Look up what goes out."""
        super().__init__(message)
        self.code = code
        self.param = param
        self.status, self.type, self.reason, self.headers = _CODES[code]

    def body(self) -> dict[str, Any]:
        """Return the response body."""
        return {
            "error": {
                "message": str(self),
                "type": self.type,
                "param": self.param,
                "code": self.code,
            },
            "ecso": {"reason": self.reason.value},
        }


class ClientGone(Exception):
    """The client has closed the connection; there is nobody to tell anything."""


_REFUSED = (
    "model_server_refused",
    "the model server refused the request: it may be longer than the model reads, want more tokens "
    "than are left (max_tokens), hold more images than it takes or one that cannot be read, or set "
    "a field that this server does not know",
)
_BUSY = ("model_server_busy", "the model server is busy; try again")
# The code and the sentence for an error, by its class and what it says of itself: an HTTP status,
# a fault or a reason. None: whatever it says.
_OF_ERRORS: dict[tuple[type[BaseException], Fault | Reason | int | None], tuple[str, str]] = {
    (ModelServerError, 400): _REFUSED,
    (ModelServerError, 413): _REFUSED,
    (ModelServerError, 422): _REFUSED,
    (ModelServerError, 429): _BUSY,
    (ModelServerError, 503): _BUSY,
    **{
        (ModelServerError, fault): (f"model_server_{fault}", "{error}; try again")
        for fault in Fault
    },
    (ECSOStepError, Reason.UNJUDGED): ("ecso_not_judged", "the answer could not be judged"),
    (ECSOStepError, None): ("ecso_step_failed", "{error}; try again"),
    (Exception, None): ("internal_error", "the gateway could not answer; try again"),
}


def as_request_error(error: BaseException) -> RequestError:
    """Return what to tell a client about any error; of a group, about its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, RequestError):
        return error
    said = (getattr(error, name, None) for name in ("status", "fault", "reason"))
    details = [*(detail for detail in said if detail is not None), None]
    keys = ((kind, detail) for detail in details for kind in type(error).__mro__)
    code, sentence = next(_OF_ERRORS[key] for key in keys if key in _OF_ERRORS)
    return RequestError(code, sentence.format(error=error))
