"""Generation settings of a step, which nothing the model stores is mixed into.

transformers fills whatever a call leaves open from ``model.generation_config``. A ``stop_strings``,
``min_new_tokens`` or ``suppress_tokens`` stored there is about answers; in a step it would change
verdicts, or break them.
"""

import copy
from typing import Any

from transformers import GenerationConfig


class CompleteSettings(GenerationConfig):
    """Generation settings in which None means none, whatever the model stores."""

    @classmethod
    def of(cls, settings: GenerationConfig) -> "CompleteSettings":
        """Return a complete copy of settings that have been merged with the model's."""
        complete = cls()
        vars(complete).update(copy.deepcopy(vars(settings)))
        return complete

    def update(
        self, defaults_only: bool = False, allow_custom_entries: bool = False, **changes: Any
    ) -> dict[str, Any]:
        """Set values, but none of the model's, which transformers sends with both switches on."""
        if defaults_only and allow_custom_entries:
            return changes
        return super().update(defaults_only, allow_custom_entries, **changes)
