"""The Hub of examples/publish; its folder is no package, so it is put on the path."""

import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "publish"))
LocalHub = __import__("local_hub").LocalHub
Repository = __import__("hub_store").Repository
StoredFile = __import__("hub_store").StoredFile
