"""The search for drafts finds one in every kind of place, and nothing where there is none."""

import array
import contextvars
import functools
import io
import re
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.leaks import Draft, find_draft
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


TEXT = "xyzzy draft"
IDS = [71, 72, 73, 74]
DRAFT = Draft((TEXT,), (tuple(IDS),))


@dataclass
class Slotted:
    __slots__ = ("kept",)
    kept: object


# Objects of classes that tests define are not looked into; these stand for the package's own.
Slotted.__module__ = "modeling_ecso.made_up"


def of_the_package(function):
    function.__module__ = "modeling_ecso.made_up"
    return function


def closure_over(kept):
    return of_the_package(lambda: kept)


def default_of(kept):
    def with_default(argument=kept):
        return argument

    return of_the_package(with_default)


def cached(kept):
    remember = functools.lru_cache(of_the_package(lambda key: kept))
    remember(1)
    return remember


def suspended(kept):
    namespace = {"__name__": "modeling_ecso.made_up"}
    exec("def numbers(kept):\n    yield 1\n    yield kept", namespace)
    generator = namespace["numbers"](kept)
    next(generator)
    return generator


def raised(kept, error):
    """An error whose traceback holds the draft in a frame that is not the tests'."""
    namespace = {"__name__": "modeling_ecso.made_up"}
    exec("def fail(kept, error):\n    raise error", namespace)
    try:
        namespace["fail"](kept, error)
    except BaseException as caught:
        return caught


def chained(kept, by):
    outer = RuntimeError("outer")
    setattr(outer, by, ValueError(kept))
    return outer


def in_a_context(kept):
    context = contextvars.Context()
    context.run(contextvars.ContextVar("draft").set, kept)
    return context


class Owner:
    def method(self):
        return self.kept


Owner.__module__ = Owner.method.__module__ = "modeling_ecso.made_up"


def owner_of(kept):
    owner = Owner()
    owner.kept = kept
    return owner


def one_hot(ids, vocabulary=100):
    return torch.nn.functional.one_hot(torch.tensor(ids), vocabulary).float()


PLACES = {
    "an attribute": lambda kept: SimpleNamespace(inner=SimpleNamespace(kept=kept)),
    "a slot": Slotted,
    "a dict's value": lambda kept: {"a": [{"b": kept}]},
    "an ordered dict": lambda kept: OrderedDict(a=kept),
    "a deque": lambda kept: deque([1, kept]),
    "a tuple": lambda kept: (None, (kept,)),
    "a closure": closure_over,
    "a default": default_of,
    "a partial": lambda kept: functools.partial(print, kept),
    "a bound method": lambda kept: owner_of(kept).method,
    "a cache": cached,
    "a suspended generator": suspended,
    "an iterator": lambda kept: iter([0, kept]),
    "a frame of a traceback": lambda kept: raised(kept, ValueError("broken")),
    "a frame of an exit": lambda kept: raised(kept, SystemExit(1)),
    "an error's argument": ValueError,
    "an error's cause": lambda kept: chained(kept, "__cause__"),
    "an error's context": lambda kept: chained(kept, "__context__"),
    "a context variable": in_a_context,
    "an attribute of a module": lambda kept: (
        setattr(one := torch.nn.Linear(2, 2), "kept", kept) or torch.nn.Sequential(one)
    ),
    "an attribute of a tensor": lambda kept: setattr(one := torch.zeros(2), "kept", kept) or one,
}
FORMS = {
    "text": TEXT,
    "text within text": f"before {TEXT} after",
    "bytes": TEXT.encode(),
    "a file in memory": io.StringIO(TEXT),
    "pieces of text": ["xyz", "zy dr", "aft"],
    "words": ["xyzzy", "draft"],
    "ids": [1, 2, *IDS, 3],
    "a tuple of ids": tuple(IDS),
    "a dict of ids": dict(enumerate(IDS)),
    "ids printed": f"tokens={IDS}",
    "an array": array.array("q", IDS),
    "numpy": np.array([[9, *IDS]]),
    "a tensor": torch.tensor([[1, *IDS], [0, 0, 0, 0, 0]]),
    "small integers": torch.tensor(IDS, dtype=torch.uint8),
    "ids as fractions": torch.tensor(IDS, dtype=torch.float64),
    "a tensor of positions by rows": torch.tensor([[token, 0] for token in IDS]),
    "a view's storage": torch.tensor([*IDS, 5, 6])[4:],
    "one-element tensors": [torch.tensor(token) for token in IDS],
    "one-element tensors, as a streamer gets them": [torch.tensor([[token]]) for token in IDS],
    "logits": one_hot(IDS)[None],
    "logits by position": tuple(one_hot([token]) for token in IDS),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", ["text", "ids", "a tensor"])
def test_a_draft_is_found_in_every_place(place, form):
    assert find_draft({"root": PLACES[place](FORMS[form])}, DRAFT)


@pytest.mark.parametrize("form", FORMS)
def test_a_draft_is_found_in_every_form(form):
    found = find_draft({"root": SimpleNamespace(kept=FORMS[form])}, DRAFT)
    assert found and all(path.startswith("root.kept") for path in found)


OTHERS = [
    "xyzzy",
    "a draft",
    [71, 72, 73],
    [71, 72, 0, 73, 74],
    [74, 73, 72, 71],
    f"tokens={IDS[:3]}, 174",
    torch.tensor([[71, 72], [0, 74]]),
    torch.tensor([]),
    torch.zeros(3, dtype=torch.bool),
    torch.ones(2, device="meta"),
    one_hot(IDS[:3])[None],
    weakref.ref(Owner()),
    re.compile("xyz"),
    np.array(["a", "b"]),
    2**80,
]


@pytest.mark.parametrize("index", range(len(OTHERS)))
def test_nothing_is_found_where_there_is_none(index):
    other = OTHERS[index]
    assert find_draft({"root": [other, {"again": other}]}, DRAFT) == []


def test_what_the_tests_hold_does_not_count():
    try:
        secret = TEXT
        raise ValueError(len(secret))
    except ValueError as error:
        assert find_draft(error, DRAFT) == []
    assert find_draft(lambda: secret, DRAFT) == []


def test_what_is_ignored_is_not_entered_but_other_ways_lead_there():
    kept = [TEXT]
    one, other = SimpleNamespace(kept=kept), SimpleNamespace(kept=kept)
    assert find_draft([one], DRAFT, ignore=[one]) == []
    assert find_draft([one, other], DRAFT, ignore=[one]) == ["list[1].kept[0]"]


def test_circles_end_and_too_much_is_an_error():
    circle = []
    circle.append(circle)
    assert find_draft(circle, DRAFT) == []
    with pytest.raises(RuntimeError, match="more than 10 objects"):
        find_draft([object() for _ in range(20)], DRAFT, most_objects=10)


def test_state_of_the_package_is_read_and_that_of_others_is_not():
    import modeling_ecso.verdict_ecso as module

    module.kept = TEXT
    try:
        assert find_draft({"module": module}, DRAFT) == ["module.kept"]
    finally:
        del module.kept
    assert find_draft({"module": module, "other": torch}, DRAFT) == []


@pytest.fixture(scope="module")
def answered(processor):
    """A model, the output of its unprotected answer, and that answer's ids."""
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    output = model.generate(**inputs, ecso=False, max_new_tokens=12, return_dict_in_generate=True)
    return model, output, output.sequences[0, inputs.input_ids.shape[1] :].tolist()


def test_its_own_answer_is_in_the_output_and_not_in_the_model(answered):
    model, output, ids = answered
    draft = Draft(("no such text",), (tuple(ids),))
    assert find_draft({"model": model}, draft) == []
    assert find_draft({"output": output}, draft)


def test_an_answer_that_the_model_keeps_is_found(answered):
    model, output, ids = answered
    model.kept = output.sequences[:, -3:]  # the storage holds all of it
    try:
        draft = Draft(("no such text",), (tuple(ids),))
        assert find_draft({"model": model}, draft)
    finally:
        del model.kept


def test_the_ids_are_those_at_a_beginning_and_within_a_text(processor):
    draft = Draft.of(TEXT, processor.tokenizer)
    for written in (TEXT, f" {TEXT}"):
        ids = processor.tokenizer(written, add_special_tokens=False).input_ids
        assert find_draft([0, *ids, 0], draft)


def test_a_part_counts_where_that_is_asked_for(processor):
    ids = processor.tokenizer(TEXT, add_special_tokens=False).input_ids
    part = ids[1:5]
    assert find_draft(part, Draft.of(TEXT, processor.tokenizer)) == []
    assert find_draft(part, Draft.of(TEXT, processor.tokenizer, least=4))
