"""API keys: who may ask. Compared in constant time, never logged."""

import hashlib
import hmac
from collections.abc import Iterable

from .errors import RequestError


class ApiKeys:
    """The keys that open the gateway. Has no repr of them.

    Args:
        keys: The keys; none: everybody may ask.
    """

    def __init__(self, keys: Iterable[str] = ()):
        """Keep digests, which all have one length."""
        self._digests = [_digest(key) for key in keys]

    @property
    def are_wanted(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self._digests)

    def check(self, authorization: str | None) -> None:
        """Let a request pass.

        Args:
            authorization: Its ``Authorization`` header.

        Raises:
            RequestError: A key is needed and this is none.
        """
        if not self._digests:
            return
        scheme, _, key = (authorization or "").partition(" ")
        given = _digest(key.strip())
        # Every key is compared, so that the time says nothing of which came close.
        matches = [hmac.compare_digest(given, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            raise RequestError(
                "invalid_api_key",
                "no API key, or one that is not known; send it as 'Authorization: Bearer KEY'",
            )


def keys_in(text: str) -> list[str]:
    """Return the keys in a text: one a line, or several with commas; ``#`` opens a comment."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [key.strip() for line in lines for key in line.split(",") if key.strip()]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
