"""The URL of a model server, as users type it."""

from urllib.parse import SplitResult, urlsplit

from ..errors_ecso import ECSOInputError


# Holds the key of the model servers.
UPSTREAM_KEY_VARIABLE = "ECSO_UPSTREAM_KEY"


def read_server_url(option: str, url: str) -> SplitResult:
    """Return the parts of a server's URL.

    Args:
        option: Where it was given, for the message.
        url: What was given, such as ``http://127.0.0.1:8000/v1``.

    Raises:
        ECSOInputError: It is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.port != 0 and bool(parts.hostname) and not set(url) & set(" \t\r\n")
    except ValueError:  # a bracket that is not closed, a port beyond 65535
        is_one = False
    if not is_one or parts.scheme not in ("http", "https"):
        raise ECSOInputError(
            f"{option} {url!r} is no URL; give one such as http://127.0.0.1:8000/v1"
        )
    return parts
