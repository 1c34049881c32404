"""What can go wrong between here and the Hub, each in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from modeling_ecso.errors_ecso import ECSOInputError


class HubUnreachableError(ECSOInputError):
    """The Hub could not be reached, or not any more; worth another attempt."""


class HeadMovedError(ECSOInputError):
    """Somebody else has committed since the plan was made."""


@contextmanager
def as_input_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into an `ECSOInputError`.

    Args:
        what: What is being read or written, for the message.

    Raises:
        ECSOInputError: In place of the client's own errors; never carries a token.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HFValidationError:
        raise ECSOInputError(
            f"{what}: not a valid name; give OWNER/NAME, of letters, digits, '-', '_' and '.'"
        ) from None
    except GatedRepoError:
        raise ECSOInputError(
            f"{what}: asks for its terms to be accepted; do so on its page, then log in with "
            "`hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise ECSOInputError(
            f"{what}: no such revision; look for its branches, tags and commits"
        ) from None
    except RepositoryNotFoundError as error:
        if "Invalid username or password" in str(error):
            raise ECSOInputError(_refused_token(what)) from None
        raise ECSOInputError(
            f"{what}: not there, or private and the token does not open it; correct the name or "
            "log in with `hf auth login`"
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise HubUnreachableError(
            f"{what}: the Hub cannot be reached; go online and repeat"
        ) from None
    except HfHubHTTPError as error:
        raise _from_status(what, error.response) from None
    except Exception as error:
        if type(error).__name__ == "XetAuthenticationError":
            raise ECSOInputError(_refused_token(what)) from None
        broken = _broken_part(error)
        if broken is None:
            raise
        if isinstance(broken, HfHubHTTPError):
            raise _from_status(what, broken.response) from None
        raise HubUnreachableError(
            f"{what}: the connection broke ({type(broken).__name__}); repeat the command, what has "
            "arrived is not sent again"
        ) from None


def _from_status(what: str, response: object) -> ECSOInputError:
    status = getattr(response, "status_code", None)
    if status == 401:
        return ECSOInputError(_refused_token(what))
    if status == 403:
        return ECSOInputError(
            f"{what}: this token may not write there; use one that may, or another name"
        )
    if status == 412:
        return HeadMovedError(
            f"{what}: somebody has committed since the plan was made; look at it and push again"
        )
    if status is None or status >= 500 or status in (408, 429):
        return HubUnreachableError(
            f"{what}: the Hub does not answer (status {status}); repeat later"
        )
    return ECSOInputError(f"{what}: refused by the Hub (status {status})")


def _refused_token(what: str) -> str:
    return (
        f"{what}: the Hub does not accept the token; log in with `hf auth login`, or set HF_TOKEN"
    )


def _broken_part(error: BaseException | None) -> BaseException | None:
    """Return the network's own error among an error and its causes, if there is one."""
    while error is not None:
        # By name, since the client's HTTP library has changed its own before.
        names = {kind.__name__ for kind in type(error).__mro__}
        broken = isinstance(error, ConnectionError | TimeoutError)
        if broken or names & {"TransportError", "HfHubHTTPError"}:
            return error
        error = error.__cause__
    return None
