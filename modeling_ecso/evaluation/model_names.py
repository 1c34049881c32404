"""The three names of a model: as it is typed, as Inspect knows it, and as it stands in logs.

| typed | Inspect | logs |
|---|---|---|
| ``tiny`` | ``ecso/tiny`` | the same |
| a folder | ``ecso/`` and the whole path | the same |
| ``llava-hf/llava-1.5-7b-hf`` | ``ecso/llava-hf/llava-1.5-7b-hf`` | the same |
| ``inspect:openai/gpt-4o`` | ``ecso-api/openai/gpt-4o`` | ``openai/gpt-4o`` |
| ``NAME``, with ``--upstream`` | ``ecso-server/NAME`` | the same |
"""

from collections.abc import Iterable
from pathlib import Path

from ..loading.models import TINY_NAME  # even where a folder has that name: ./tiny is the folder
from .files import DataError


_INSPECT = "inspect:"
_OURS = "ecso/"
# The provider that puts the protocol in front of another one, which is the model evaluated.
_AROUND = "ecso-api/"
_SERVED = "ecso-server/"


def served_name(typed: str) -> str:
    """Return the name by which Inspect is asked for a model on servers that users name."""
    return f"{_SERVED}{typed}"


def inspect_name(typed: str) -> str:
    """Return the name by which Inspect is asked for a model."""
    if typed.startswith(_INSPECT):
        inspected = typed.removeprefix(_INSPECT)
        return inspected if inspected.startswith(_OURS) else f"{_AROUND}{inspected}"
    is_folder = typed != TINY_NAME and Path(typed).is_dir()
    return f"{_OURS}{Path(typed).resolve() if is_folder else typed}"


def is_loaded_here(inspected: str) -> bool:
    """Return whether Inspect's name is that of a model that is loaded in this process."""
    return inspected.startswith(_OURS)


def is_protectable(inspected: str) -> bool:
    """Return whether Inspect's name is that of a model behind one of our providers."""
    return inspected.startswith((_OURS, _AROUND, _SERVED))


def logged_name(inspected: str) -> str:
    """Return the name that stands in logs, with and without the protocol the same."""
    return inspected.removeprefix(_AROUND)


def typed_name(logged: str) -> str:
    """Return what to type for a model that stands in logs, where logs are read."""
    if logged.startswith(_SERVED):
        return logged
    is_ours = logged.startswith(_OURS)
    return logged.removeprefix(_OURS) if is_ours else f"{_INSPECT}{logged}"


def named_in_logs(typed: str, logged: Iterable[str]) -> str:
    """Return which of the models in logs is meant.

    Args:
        typed: What the user typed; a name as it stands in the logs will do as well.
        logged: The models in the logs.

    Raises:
        DataError: None of them is; the message says which there are.
    """
    known = sorted(set(logged))
    for name in (
        logged_name(inspect_name(typed)),
        f"{_OURS}{typed}",
        typed,
        served_name(typed),
    ):
        if name in known:
            return name
    there = ", ".join(map(typed_name, known))
    raise DataError(f"no complete log of --model {typed}; there are logs of {there}")
