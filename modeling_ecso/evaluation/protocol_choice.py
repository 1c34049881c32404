"""What a provider's arguments make of the protocol: not at all, as stored, or a preset.

Drafts and captions are what the model said before it was judged safe, or unjudged: a log holds them
only where they were asked for, for study and for the published exports.

A step that fails for good is raised, whatever is stored: a refusal in its place would count as the
model's merit.
"""

from typing import Any

from ..settings_ecso import ECSOConfig
from .eval_run import DIRECT, PROTECTED
from .prerequisite import PrerequisiteError, as_prerequisite_error


def chosen_ecso_config(
    stored: ECSOConfig,
    variant: str,
    preset: str | None,
    keep_draft: bool,
    image_in_safe_step: bool,
    ecso_config: dict[str, Any] | None = None,
) -> ECSOConfig | None:
    """Return the settings to run the protocol with; None: answer directly.

    Args:
        stored: What holds where the arguments say nothing.
        variant: ``protected`` or ``direct``.
        preset: Preset of the protocol; None: what is stored.
        keep_draft: Whether unsafe drafts and captions are kept in the log.
        image_in_safe_step: Whether the image stays in the last step.
        ecso_config: Settings that differ from the preset, or from what is stored; they may name the
            preset.

    Raises:
        PrerequisiteError: The variant, the preset or a setting is unknown or not allowed.
    """
    if variant not in (DIRECT, PROTECTED):
        raise PrerequisiteError(
            f"variant {variant!r} is unknown; choose from {DIRECT}, {PROTECTED}"
        )
    if variant == DIRECT:
        return None
    changes: dict[str, object] = {
        **(ecso_config or {}),
        "enabled": True,
        "keep_draft": keep_draft,
        "keep_caption": keep_draft,
        "on_error": "raise",
    }
    if preset:
        changes["preset"] = preset
    if image_in_safe_step:
        changes["image_in_safe_step"] = True
    with as_prerequisite_error():
        return stored.updated(changes)
