"""Finds a draft in whatever can be reached from an object: an error, an output, a run, a model.

    draft = Draft.of("the words", tokenizer)
    assert not find_draft({"error": error, "model": model}, draft)

Found: the text in strings and bytes; token ids in lists, tuples, dicts, arrays, tensors along
every axis, and in the whole storage that a tensor is a view of; ids whose tokens are scattered over
one-element tensors; ids printed into a string; logits that choose the ids.
Followed: attributes, slots, containers, closures, defaults, partials, generators, weak references,
caches of functions, and the local variables in the frames of a traceback.
Not followed: modules and classes but those of this package; what the tests and their tools hold.
Not found: a draft in the numbers of a cache of keys and values, or written in another way.
"""

import array
import functools
import gc
import inspect
import io
import logging
import re
import types
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch


PACKAGES = ("modeling_ecso", "transformers_modules")
# They hold what a test plants, or all that a process has.
TOOLS = ("tests", "_pytest", "pytest", "pluggy", "hypothesis", "execnet", "xdist")
SKIPPED_TYPES = (
    *(int, float, complex, bool, type(None), type(...), type(NotImplemented)),
    *(types.CodeType, types.BuiltinFunctionType, types.GetSetDescriptorType),
    *(types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(torch.dtype, torch.device, torch.Size, torch.Generator, logging.Logger, logging.Handler),
)
MOST_OBJECTS = 2_000_000
MOST_FOUND = 20


class Draft(NamedTuple):
    """What is looked for.

    Args:
        texts: Texts, each of which gives the draft away.
        id_runs: Sequences of token ids, each of which does; runs of one id would be everywhere.
    """

    texts: tuple[str, ...]
    id_runs: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, text: str, tokenizer: Any, least: int | None = None) -> "Draft":
        """Return a draft by its text.

        Args:
            text: Its words.
            tokenizer: Gives the ids, at the beginning of a text and within one.
            least: Any so many ids in a row count; None: only all of them.
        """
        runs = []
        for written in (text, f" {text}"):
            ids = tokenizer(written, add_special_tokens=False)["input_ids"]
            length = min(least or len(ids), len(ids))
            runs += [tuple(ids[at : at + length]) for at in range(len(ids) - length + 1)]
        return cls((text,), tuple(dict.fromkeys(runs)))

    def is_in_text(self, text: str) -> bool:
        """Return whether a text gives the draft away, by its words or as a list of ids."""
        if any(words in text for words in self.texts):
            return True
        numbers = f" {' '.join(re.findall(r'[0-9]+', text))} " if "," in text else ""
        return any(f" {' '.join(map(str, run))} " in numbers for run in self.id_runs)

    def is_in_ids(self, ids: Any) -> bool:
        """Return whether the last axis of an array has the ids in a row."""
        array_of_ids = np.asarray(ids)
        return any(_has_run(array_of_ids, run) for run in self.id_runs)


def find_draft(
    roots: Any, draft: Draft, ignore: Iterable[Any] = (), most_objects: int = MOST_OBJECTS
) -> list[str]:
    """Return where a draft is, as paths from the roots; empty where it is nowhere.

    Args:
        roots: An object, or a dict of objects by name.
        draft: What is looked for.
        ignore: Objects that may hold it, with all that only they lead to.
        most_objects: Gives up beyond so many.

    Raises:
        RuntimeError: There are more objects than that; nothing can be said.
    """
    # What was seen is kept, so that no identity is given to another object meanwhile.
    seen: dict[int, Any] = {id(one): one for one in ignore}
    named = roots if type(roots) is dict else {type(roots).__name__: roots}
    waiting = deque(named.items())
    found: list[str] = []
    while waiting and len(found) < MOST_FOUND:
        path, value = waiting.popleft()
        if id(value) in seen or _is_skipped(value):
            continue
        seen[id(value)] = value
        if len(seen) > most_objects:
            raise RuntimeError(f"more than {most_objects} objects; the last one is {path}")
        if _holds(value, draft):
            found.append(path)
        waiting.extend((path + step, inner) for step, inner in _inside(value))
    return found


def _has_run(values: np.ndarray, run: tuple[int, ...]) -> bool:
    length = values.shape[-1] - len(run) + 1 if values.ndim else 0
    if length < 1:
        return False
    matches = values[..., :length] == run[0]
    for offset, wanted in enumerate(run[1:], start=1):
        if not matches.any():
            return False
        matches &= values[..., offset : offset + length] == wanted
    return bool(matches.any())


def _is_skipped(value: Any) -> bool:
    if isinstance(value, SKIPPED_TYPES):
        return True
    if isinstance(value, types.ModuleType | type):
        name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
        return not _is_of(name, PACKAGES)
    if isinstance(value, types.FrameType):
        return _is_of(value.f_globals.get("__name__"), TOOLS)
    if isinstance(value, types.FunctionType):
        return _is_of(value.__module__, TOOLS)
    return _is_of(type(value).__module__, TOOLS)


def _is_of(module: Any, packages: tuple[str, ...]) -> bool:
    return isinstance(module, str) and module.split(".")[0] in packages


def _holds(value: Any, draft: Draft) -> bool:
    """Return whether an object gives the draft away by itself."""
    if isinstance(value, str):
        return draft.is_in_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return draft.is_in_text(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, io.StringIO | io.BytesIO):
        return not value.closed and _holds(value.getvalue(), draft)
    if isinstance(value, torch.Tensor):
        return any(draft.is_in_ids(ids) for ids in _ids_of_tensor(value, draft))
    if isinstance(value, np.ndarray | array.array):
        return _holds_numbers(np.asarray(value), draft)
    if isinstance(value, Mapping):
        return _holds_in_a_row(list(value.values()), draft) or _holds_in_a_row(list(value), draft)
    if isinstance(value, list | tuple | deque):
        return _holds_in_a_row(list(value), draft)
    if type(value).__module__ == "tokenizers" and hasattr(value, "ids"):
        return draft.is_in_ids(value.ids)
    return False


def _holds_numbers(values: np.ndarray, draft: Draft) -> bool:
    if not np.issubdtype(values.dtype, np.number) or not values.size:
        return False
    return any(draft.is_in_ids(np.moveaxis(values, axis, -1)) for axis in range(values.ndim))


def _holds_in_a_row(items: list[Any], draft: Draft) -> bool:
    """Return whether the items of a sequence give the draft away together."""
    if len(items) < 2:
        return False
    if all(isinstance(item, str) for item in items):
        return draft.is_in_text("".join(items)) or draft.is_in_text(" ".join(items))
    if all(isinstance(item, int | float | np.number) for item in items):
        return draft.is_in_ids(items)
    tensors = [item for item in items if isinstance(item, torch.Tensor) and not item.is_meta]
    if len(tensors) < len(items) or len({tensor.shape for tensor in tensors}) > 1:
        return False
    if tensors[0].numel() == 1:
        return draft.is_in_ids([tensor.item() for tensor in tensors])
    if _may_be_logits(tensors[0], draft):  # one (rows, vocabulary) for each position
        chosen = torch.stack([tensor.detach().argmax(-1).reshape(-1) for tensor in tensors], -1)
        return draft.is_in_ids(chosen.cpu().numpy())
    return False


def _ids_of_tensor(value: torch.Tensor, draft: Draft) -> Iterator[np.ndarray]:
    """Return the arrays of ids that a tensor may be read as."""
    if value.is_meta or value.is_sparse or value.is_quantized or not value.numel():
        return
    value = value.detach()
    if _may_be_logits(value, draft):
        yield value.argmax(-1).cpu().numpy()
    if isinstance(value, torch.nn.Parameter) or value.dtype is torch.bool or value.is_complex():
        return
    storage = torch.empty(0, dtype=value.dtype, device=value.device).set_(value.untyped_storage())
    numbers = value.float() if value.is_floating_point() else value
    for axis in range(value.dim()):
        yield numbers.movedim(axis, -1).cpu().numpy()
    yield (storage.float() if storage.is_floating_point() else storage).cpu().numpy()


def _may_be_logits(value: torch.Tensor, draft: Draft) -> bool:
    highest = max((max(run) for run in draft.id_runs), default=0)
    return value.is_floating_point() and value.dim() >= 1 and value.shape[-1] > highest


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Return what an object leads to, each with a step of the path."""
    if isinstance(value, str | bytes | bytearray | memoryview | np.ndarray):
        return
    if isinstance(value, torch.Tensor):
        yield from _named(getattr(value, "__dict__", {}))
        yield ".grad", value.grad if value.is_leaf else None
    elif isinstance(value, types.FrameType):
        yield from _named(value.f_locals)
    elif isinstance(value, types.TracebackType):
        yield f" line {value.tb_lineno}", value.tb_frame
        yield "", value.tb_next
    elif isinstance(value, types.ModuleType | type):
        yield from _named(vars(value))
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif isinstance(value, types.MethodType | functools.partial):
        yield from ((f".{type(value).__name__}", inner) for inner in gc.get_referents(value))
    elif isinstance(value, weakref.ReferenceType):
        yield "()", value()
    elif isinstance(value, Mapping):
        for key, inner in list(value.items()):
            yield f"[{_shown(key)}]", inner
            yield ".key", key
        yield from _attributes(value)
    elif isinstance(value, list | tuple | deque | set | frozenset):
        yield from ((f"[{place}]", inner) for place, inner in enumerate(list(value)))
        yield from _attributes(value)
    else:
        yield from _attributes(value)
        yield from ((f".<{type(value).__name__}>", one) for one in gc.get_referents(value))


def _of_function(value: types.FunctionType) -> Iterator[tuple[str, Any]]:
    variables = inspect.getclosurevars(value).nonlocals if value.__closure__ else {}
    yield from _named(variables)
    yield ".defaults", value.__defaults__
    yield ".defaults", value.__kwdefaults__
    yield from _named(vars(value))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseException):
        for name in ("args", "__traceback__", "__cause__", "__context__"):
            yield f".{name}", getattr(value, name)
    for name in ("gi_frame", "cr_frame", "ag_frame", "string"):  # the last is that of re.Match
        if not isinstance(value, torch.nn.Module) and hasattr(type(value), name):
            yield f".{name}", getattr(value, name)
    try:
        yield from _named(vars(value))
    except TypeError:  # it has slots, which the collector knows
        return


def _named(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f".{name}", inner) for name, inner in list(variables.items()))


def _shown(key: Any) -> str:
    return key if isinstance(key, str) and len(key) < 40 else type(key).__name__
