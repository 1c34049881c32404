"""What a client is told when there is no answer: one sentence, in the shape of the OpenAI API."""

from typing import Any

from ..endpoint.model_server import Fault, ModelServerError
from ..errors_ecso import ECSOInputError, ECSOStepError


class RequestError(ECSOInputError):
    """A request that gets no answer. The message never quotes a prompt, an image or a draft.

    Args:
        status: The HTTP status.
        message: What is wrong, and what to do.
        code: A word for programs.
        param: The field that is to blame, such as ``messages[0].content``.
        headers: Headers for the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        """Keep what the response is made of."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the response body."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 429:
            kind = "rate_limit_error"
        return {
            "error": {
                "message": str(self),
                "type": kind,
                "param": self.param,
                "code": self.code,
            }
        }


class ClientGone(Exception):
    """The client has closed the connection; there is nobody to tell anything."""


def problem_of(error: BaseException) -> RequestError | None:
    """Return what to tell a client about an error; None: it is none that a client can cause."""
    if isinstance(error, BaseExceptionGroup):
        return problem_of(error.exceptions[0])
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ECSOStepError):
        return RequestError(502, f"{error}; try again", "ecso_step_failed")
    if isinstance(error, ModelServerError):
        return _of_upstream(error)
    return None


def _of_upstream(error: ModelServerError) -> RequestError:
    if error.status in (400, 413, 422):
        return RequestError(
            400,
            f"the model server refused the request (status {error.status}): it may be longer than "
            "the model reads, hold an image that cannot be read, or set a field that this server "
            "does not know",
            "upstream_refused",
        )
    if error.status in (429, 503):
        return RequestError(
            503,
            "the model server is busy; try again",
            "upstream_busy",
            headers={"Retry-After": "1"},
        )
    status = 504 if error.fault is Fault.TIMEOUT else 502
    return RequestError(status, f"{error}; try again", f"upstream_{error.fault}")
