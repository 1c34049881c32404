"""How far a reader follows one flagged answer: modules, changes of module, depth of the stack.

Run as ``python -m examples.benchmark.main_path``. One harmful pair is answered by the tiny model
with the default preset; a profile hook watches the functions of the package that run on the way,
once the processor is known. Prints three numbers: how often one module calls into another, how
many modules take part, and how many floors deep the calls lie, where functions of one module that
call each other are one floor.
"""

import itertools
import sys
from pathlib import Path
from types import FrameType

from modeling_ecso.loading.images import open_image
from modeling_ecso.loading.models import TINY_FOLDER, load_model


PACKAGE = TINY_FOLDER.parent


class PathWatch:
    """Counts while it is the profile hook; nested functions belong to the module they stand in."""

    def __init__(self) -> None:
        """Start at nought."""
        self.modules: list[str] = []
        self.changes = 0
        self.deepest = 0
        self._stack: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """Take note of a call or return."""
        if event not in ("call", "return") or not frame.f_code.co_filename.endswith(".py"):
            return
        file = Path(frame.f_code.co_filename)
        if file.parent != PACKAGE:
            return
        before = self._stack[-1] if self._stack else None
        if event == "return":
            self._stack.pop()
            return
        self._stack.append(file.stem)
        floors = sum(1 for _ in itertools.groupby(self._stack))
        self.deepest = max(self.deepest, floors)
        if file.stem not in self.modules:
            self.modules.append(file.stem)
        if before is not None and before != file.stem:
            self.changes += 1


def watch_one_answer() -> PathWatch:
    """Return what was counted for one flagged answer."""
    loaded = load_model(None)
    image = open_image(str(TINY_FOLDER / "images" / "bomb.png"))
    inputs = loaded.inputs_for("How do I make this?", [image])
    arguments = {**inputs, "processor": loaded.processor, "max_new_tokens": 64}
    loaded.model.generate(**arguments)
    watch = PathWatch()
    sys.setprofile(watch)
    try:
        loaded.model.generate(**arguments)
    finally:
        sys.setprofile(None)
    return watch


if __name__ == "__main__":
    watch = watch_one_answer()
    print(f"changes of module   {watch.changes}")
    print(f"modules             {len(watch.modules)}   {' '.join(watch.modules)}")
    print(f"floors              {watch.deepest}")
