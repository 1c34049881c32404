"""A family's repository: built from its stock model, loaded again as a stranger does."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from hub_upload.build import build
from hub_upload.default_recipe import recipe_for
from modeling_ecso import protect
from tests.families.mixed_batch import CAPTION_TOKENS, answers_of, built


# What AutoModelForImageTextToText does not know.
NOT_PUBLISHED = {"phi_4"}


def publish(name: str, folder: Path, weights: Literal["copy", "thin"] = "copy") -> Path:
    """Build a family's repository inside a folder, with weights or thin; return where it is."""
    for part in built(name):
        part.save_pretrained(folder / "base")
    build(replace(recipe_for(str(folder / "base")), weights=weights), folder / name)
    return folder / name


def loaded_again(repository: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Return model and processor by the Auto classes, and what they said of the weights."""
    model, report = AutoModelForImageTextToText.from_pretrained(
        repository, trust_remote_code=True, output_loading_info=True
    )
    processor = AutoProcessor.from_pretrained(repository, trust_remote_code=True)
    return model.eval(), processor, report


def is_alike(name: str, folder: Path, weights: Literal["copy", "thin"] = "copy") -> bool:
    """Publish a family inside a folder; return whether it is the protected original, all of it."""
    model, processor, report = loaded_again(publish(name, folder, weights))
    stock = AutoModelForImageTextToText.from_pretrained(folder / "base").eval()
    original = protect(stock, AutoProcessor.from_pretrained(folder / "base"))
    is_like = type(model).__name__ == f"ECSO{type(stock).__name__}"
    for flagged in (True, False):
        ours = says(name, model, processor, unclear_is_unsafe=flagged)
        is_like &= ours == says(name, original, original.processor, unclear_is_unsafe=flagged)
    return is_like and is_whole(name, model, report)


def is_whole(name: str, model: Any, report: dict[str, Any]) -> bool:
    """Return whether a model has the original's weights, all of them, and no others."""
    theirs, ours = built(name)[0].state_dict(), model.state_dict()
    is_same = ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    return is_same and not any(report.values())


def says(name: str, model: Any, processor: Any, **ecso: Any) -> list[tuple[list[int], str | None]]:
    """Return a protected model's answer to each row of the batch, and its caption."""
    settings = {"caption_max_new_tokens": CAPTION_TOKENS, "keep_caption": True, **ecso}
    answers = answers_of(name, model, processor, ecso=settings)
    return [(ids, trace.caption) for (ids,), (trace,) in answers]
