"""API keys: who may ask. Compared in constant time, never logged."""

import hashlib
import hmac
from collections.abc import Iterable

from ..errors_ecso import ECSOInputError
from .errors import RequestError


# What can be guessed is no key.
MIN_KEY_CHARS = 16


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


def keys_in(text: str, source: str) -> list[str]:
    """Return the keys in a text: one a line; a line that begins with ``#`` is a comment.

    Args:
        text: The text.
        source: Where it is from, for the message.

    Raises:
        ECSOInputError: A line cannot be a key; the message names the line, never the key.
    """
    keys = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if not all("!" <= sign <= "~" for sign in key):
            raise ECSOInputError(
                f"{source}, line {number}: a key has blanks or signs outside ASCII; write one key "
                "a line, and comments on lines of their own"
            )
        if len(key) < MIN_KEY_CHARS:
            raise ECSOInputError(
                f"{source}, line {number}: the key has fewer than {MIN_KEY_CHARS} characters; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        keys.append(key)
    return keys


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
