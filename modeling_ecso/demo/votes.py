"""Appends votes to a file: one JSON object a line, never the draft, the image only if asked."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..loading.images import open_image
from ..settings_ecso import ECSOConfig
from .demo_request import PROMPTS, DemoRequest
from .demo_run import RunResult


class Vote(StrEnum):
    """What a visitor says about an answer."""

    UP = "up"
    DOWN = "down"
    FLAG = "flag"


@dataclass(frozen=True)
class VoteFile:
    """The file that votes are appended to.

    Args:
        file: A JSONL file; it and its folder are made with the first vote. Images go into the
            folder ``<name>-images`` beside it.
    """

    file: Path

    def append(
        self, vote: Vote, model: str, request: DemoRequest, result: RunResult, keeps_image: bool
    ) -> None:
        """Append one vote; whole lines only, whoever else is writing.

        Args:
            vote: The vote.
            model: Name of the model.
            request: What was asked.
            result: The answer and its trace.
            keeps_image: Whether to store the image too.

        Raises:
            OSError: The file cannot be written.
            ECSOInputError: The image is gone.
        """
        trace = result.trace.to_dict()
        trace.pop("draft", None)
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "vote": vote.value,
            "model": model,
            "query": request.query,
            "answer": result.answer,
            "trace": trace,
            "generation": _generation(request),
            "has_image": request.image is not None,
            "image": None,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if keeps_image and request.image is not None:
            line["image"] = self._store_image(request.image)
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with FileLock(f"{self.file}.lock"):
            self._append_whole(text.encode("utf-8"))

    def _append_whole(self, line: bytes) -> None:
        with self.file.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # cut short by a full disk; the rest must stay readable
                    line = b"\n" + line
            file.write(line)

    def _store_image(self, path: str) -> str:
        """Store the image under its digest; return its path beside the file."""
        folder = self.file.with_name(f"{self.file.stem}-images")
        folder.mkdir(exist_ok=True)
        # Written anew as pixels alone: a photo's file also tells where and when it was taken.
        image = open_image(path, "the image")
        stored = folder / f"{hashlib.sha256(image.tobytes()).hexdigest()}.png"
        image.save(stored)
        return f"{folder.name}/{stored.name}"


def _generation(request: DemoRequest) -> dict[str, Any]:
    """Return how it was asked; of the prompts only those that differ from the preset's."""
    stored = request.ecso_config.to_dict()
    preset = ECSOConfig.from_preset(request.ecso_config.preset).to_dict()
    edited = {name: stored[name] for name in PROMPTS if stored[name] != preset[name]}
    return {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_new_tokens": request.max_new_tokens,
        "edited_prompts": edited,
    }
