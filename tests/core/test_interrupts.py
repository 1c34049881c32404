"""An interrupt of any kind, at any moment of any step, leaves no draft and no caption behind."""

import asyncio
import dis
import random
import sys
from pathlib import Path

import pytest
import torch

import modeling_ecso
from modeling_ecso.errors_ecso import strip_frames
from tests.support.leaks import Draft, find_draft
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


pytestmark = pytest.mark.slow


TEXT, CAPTION = "xyzzy draft plugh", "frotz caption grue"
SAID = {"direct": TEXT, "detect": "yes", "caption": CAPTION, "safe": "all good"}
CORE = str(Path(modeling_ecso.__file__).parent)


class OwnInterrupt(BaseException):
    pass


def noted(kind):
    def made():
        error = kind("stop")
        error.add_note("a note")
        return error

    return made


def grouped():
    return BaseExceptionGroup(
        "stop", [KeyboardInterrupt("stop"), ExceptionGroup("x", [KeyError()])]
    )


KINDS = {
    "keyboard": lambda: KeyboardInterrupt("stop"),
    "exit": lambda: SystemExit(1),
    "own": lambda: OwnInterrupt("stop"),
    "cancelled": lambda: asyncio.CancelledError("stop"),
    "generator exit": lambda: GeneratorExit("stop"),
    "noted": noted(KeyboardInterrupt),
    "group": grouped,
}


class Interrupt:
    """Raises an error at the n-th thing that the core does.

    Python looks for signals and for errors from other threads where a function begins, a call has
    returned or a loop goes round, so these are the moments that count.

    Args:
        at: Which one; None: never, only count.
        make_error: Makes the error.
        files: Only in files whose names end so.
        after: Count from the first call of a function of this name on.
    """

    def __init__(self, at, make_error, files="_ecso.py", after=None):
        self.seen = 0
        self._at, self._make_error, self._files = at, make_error, files
        self._after = after
        self._latest = {}  # instruction of each frame

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _trace(self, frame, event, _):
        name = frame.f_code.co_filename
        if frame.f_code.co_name == self._after:
            self._after = None
        if not (name.startswith(CORE) and name.endswith(self._files)):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            before = self._latest.get(frame, "RESUME")
            self._latest[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(("RESUME", "CALL", "JUMP_BACKWARD")) and self._after is None:
                self.seen += 1
                if self.seen == self._at:
                    self._latest.clear()
                    raise self._make_error()
        elif event == "exception":
            self._latest[frame] = ""  # the call has not returned
        elif event == "return":
            self._latest.pop(frame, None)
        return self._trace


@pytest.fixture(scope="module")
def scripted(processor):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    hidden = [Draft.of(text, processor.tokenizer, least=4) for text in (TEXT, CAPTION)]
    Script(model, processor, **SAID)
    model.generate(**inputs)  # from then on the chat template is known
    return model, inputs, hidden


def call(model, entry_point, inputs, **arguments):
    """Return the run where there is one, and whatever the call raised."""
    run = None
    try:
        if entry_point == "generate":
            model.generate(**inputs, max_new_tokens=40, **arguments)
        else:
            run = model.protected_run(**inputs, max_new_tokens=40, **arguments)
            for _ in run:
                pass
    except BaseException as error:
        return run, error
    return run, None


def left(hidden, **roots):
    return [path for each in hidden for path in find_draft(roots, each)]


@pytest.mark.parametrize("entry_point", ["generate", "run"])
@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_at_a_random_moment_leaves_nothing(
    processor, scripted, preset, entry_point, kind
):
    model, inputs, hidden = scripted
    Script(model, processor, **SAID)
    with Interrupt(None, None) as counted:
        call(model, entry_point, inputs, ecso={"preset": preset})
    moments = random.Random(f"{preset} {entry_point} {kind}").sample(range(1, counted.seen + 1), 3)
    for moment in moments:
        with Interrupt(moment, KINDS[kind]):
            run, error = call(model, entry_point, inputs, ecso={"preset": preset})
        assert error is not None and left(hidden, error=error, run=run) == [], moment


@pytest.mark.parametrize("entry_point", ["generate", "run"])
@pytest.mark.parametrize("ending", ["answer", "error", "bug"])
def test_an_interrupt_while_the_run_cleans_up_leaves_nothing(
    processor, scripted, monkeypatch, ending, entry_point
):
    model, inputs, hidden = scripted
    said = {**SAID, "detect": RuntimeError(TEXT)} if ending == "error" else SAID
    Script(model, processor, **said)
    if ending == "bug":

        def broken(*_):
            raise RuntimeError(TEXT)

        monkeypatch.setattr(modeling_ecso.run_ecso, "replaced_output", broken)
    where = {"files": ("run_ecso.py", "errors_ecso.py"), "after": "_results"}
    arguments = {"ecso": {"on_error": "raise"}, "return_dict_in_generate": True}
    with Interrupt(None, None, **where) as counted:
        call(model, entry_point, inputs, **arguments)
    for moment in random.Random(ending + entry_point).sample(range(1, counted.seen + 1), 16):
        with Interrupt(moment, KINDS["keyboard"], **where):
            run, error = call(model, entry_point, inputs, **arguments)
        assert left(hidden, error=error, run=run) == [], moment


def test_an_interrupt_in_the_network_leaves_nothing(processor, monkeypatch):
    """The frames of the real decoding loop hold the ids as they are written."""
    model = make_model(processor, preset="paper")
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    plain = model.generate(**inputs, ecso=False, max_new_tokens=12)
    ids = plain[0, inputs.input_ids.shape[1] :].tolist()
    hidden = [Draft((), tuple(tuple(ids[at : at + 4]) for at in range(len(ids) - 3)))]
    forward, calls = model.forward, []

    def interrupted(*arguments, **named):
        calls.append(None)
        if len(calls) == at:
            raise make_error()
        return forward(*arguments, **named)

    monkeypatch.setattr(model, "forward", interrupted)
    for at in range(6, 14):
        make_error = list(KINDS.values())[at % len(KINDS)]
        for entry_point in ("generate", "run"):
            calls.clear()
            run, error = call(model, entry_point, inputs)
            assert error is not None and left(hidden, error=error, run=run) == [], at
    monkeypatch.setattr(model, "forward", forward)
    assert left(hidden, model=model) == []


def test_a_callbacks_own_error_comes_through_without_what_it_looked_at(processor):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])

    def looks(input_ids, scores, **_):
        if input_ids.shape[1] > inputs.input_ids.shape[1] + 5:
            seen.append(tuple(input_ids[0, -5:].tolist()))
            return input_ids.no_such_thing
        return torch.zeros(len(input_ids), dtype=torch.bool)

    seen = []
    _, error = call(model, "generate", inputs, stopping_criteria=[looks], eos_token_id=None)
    assert type(error) is AttributeError and seen
    assert left([Draft((), tuple(seen))], error=error) == []


def test_stripping_reaches_members_causes_and_notes():
    def raised(error, cause=None):
        try:
            raise error from cause
        except BaseException as caught:
            return caught

    inner = raised(KeyError("x"), raised(ValueError(TEXT)))
    inner.add_note(TEXT)
    middle = raised(ExceptionGroup("x", [inner]))
    outer = raised(BaseExceptionGroup("x", [middle, KeyboardInterrupt()]), inner)
    strip_frames(outer)
    for error in (outer, middle, inner):
        assert error.__traceback__ is error.__cause__ is error.__context__ is None
        assert not getattr(error, "__notes__", None)
    deep = ValueError()
    for _ in range(5000):
        deep = ExceptionGroup("x", [deep])
    strip_frames(deep)


@pytest.mark.parametrize("moment", range(1, 41))
def test_no_interrupt_leaves_the_model_unprotected(processor, scripted, moment):
    model, inputs, _ = scripted
    script = Script(model, processor, **SAID)

    def loop(model, input_ids, **_):
        return script(input_ids=input_ids)

    where = {"files": ("generation_ecso.py", "isolation_ecso.py"), "after": "__call__"}
    with Interrupt(moment, KINDS["keyboard"], **where):
        call(model, "generate", inputs, custom_generate=loop)
    answer = model.generate(**inputs, max_new_tokens=40)
    assert processor.decode(answer[0], skip_special_tokens=True).endswith("all good")
