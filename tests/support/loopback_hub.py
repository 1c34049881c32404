"""The Hub of examples/publish, for the tests."""

from examples.publish.hub_store import Repository, StoredFile
from examples.publish.local_hub import LocalHub


__all__ = ["LocalHub", "Repository", "StoredFile"]
