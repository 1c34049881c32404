"""Whoever sees an answer while it is written."""

from typing import Protocol


class Reader(Protocol):
    """Sees an answer grow, and may have to see it replaced."""

    def show_up_to(self, text: str) -> None:
        """Take the answer as far as it may be seen. Nothing new, where more was seen before.

        Args:
            text: Its beginning; what was seen before is the beginning of it, or it of that.
        """
        ...

    def withdraw(self) -> None:
        """Take note that what was seen is void, if anything was; another answer will come."""
        ...
