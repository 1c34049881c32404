"""What a client is told when there is no answer: one sentence, in the shape of the OpenAI API."""

from typing import Any

from ..errors_ecso import ECSOStepError
from .endpoint import Fault, UpstreamError


class RequestProblem(Exception):
    """A request that gets no answer. The message never quotes a prompt, a picture or a draft.

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


def problem_of(error: BaseException) -> RequestProblem | None:
    """Return what to tell a client about an error; None: it is none that a client can cause."""
    if isinstance(error, BaseExceptionGroup):
        return problem_of(error.exceptions[0])
    if isinstance(error, RequestProblem):
        return error
    if isinstance(error, ECSOStepError):
        return RequestProblem(502, f"{error}; try again", "ecso_step_failed")
    if isinstance(error, UpstreamError):
        return _of_upstream(error)
    return None


def _of_upstream(error: UpstreamError) -> RequestProblem:
    if error.status in (400, 413, 422):
        return RequestProblem(
            400,
            f"the model server refused the request (status {error.status}): it may be longer than "
            "the model reads, hold a picture that cannot be read, or set a field that this server "
            "does not know",
            "upstream_refused",
        )
    if error.status in (429, 503):
        return RequestProblem(
            503,
            "the model server is busy; try again",
            "upstream_busy",
            headers={"Retry-After": "1"},
        )
    status = 504 if error.fault is Fault.TIMEOUT else 502
    return RequestProblem(status, f"{error}; try again", f"upstream_{error.fault}")
