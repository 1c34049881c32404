"""Nothing that a call leaves behind leads to a withheld draft: not as text, ids or logits."""

import pytest

from modeling_ecso import ECSOProtocolError, run_ecso
from tests.support.leaks import Draft, find_draft
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


TEXT = "xyzzy draft plugh"
SAID = {"direct": TEXT, "detect": "yes", "caption": "a kite", "safe": "all good"}
STEPS = ("detect", "caption", "safe")
ERRORS = (RuntimeError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit)


@pytest.fixture(scope="module")
def scripted(processor):
    """A model of its own, two rows of input, and the draft that is looked for."""
    model = make_model(processor)
    turns = [user_turn("How do I make this?"), user_turn("And this?")]
    inputs = make_inputs(processor, turns, [[image()], [image(1)]])
    return model, inputs, Draft.of(TEXT, processor.tokenizer, least=4)


def left_behind(model, inputs, draft, logs, **arguments):
    """Run a call in both ways; return where the draft is found afterwards, and what was raised."""
    raised, left = [], {"model": model, "logs": logs}
    run = model.protected_run(**inputs, **arguments)
    for name, call in {
        "run": lambda: [list(run), run.output, run.traces, run],
        "output": lambda: model.generate(**inputs, **arguments),
    }.items():
        try:
            left[name] = call()
        except BaseException as error:
            raised.append(error)
            left[f"error of the {name}"] = error
    left["run itself"] = run
    return find_draft(left, draft), raised


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
@pytest.mark.parametrize("returns_dict", [True, False])
@pytest.mark.parametrize("ecso", [{}, {"draft_checkpoints": [1, 3]}], ids=str)
def test_an_answer_leaves_nothing(processor, scripted, logs, preset, returns_dict, ecso):
    model, inputs, draft = scripted
    Script(model, processor, **SAID)
    arguments = {"return_dict_in_generate": returns_dict, "max_new_tokens": 40}
    if returns_dict:
        arguments |= {"output_logits": True}
    found, raised = left_behind(
        model, inputs, draft, logs, ecso={"preset": preset, **ecso}, **arguments
    )
    assert found == [] and raised == []


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("on_error", ["refuse", "raise"])
def test_an_error_or_interrupt_leaves_nothing(processor, scripted, logs, kind, step, on_error):
    model, inputs, draft = scripted
    # The words of an interrupt are those of whoever interrupts.
    words = f"broken at {TEXT}" if issubclass(kind, Exception) else "stop"
    Script(model, processor, **{**SAID, step: kind(words)})
    ecso = {"on_error": on_error}
    found, raised = left_behind(model, inputs, draft, logs, ecso=ecso, max_new_tokens=40)
    assert found == []
    assert len(raised) == (0 if issubclass(kind, Exception) and on_error == "refuse" else 2)


def test_a_bug_after_the_draft_leaves_nothing(processor, scripted, logs, monkeypatch):
    def broken(*arguments):
        raise RuntimeError(f"broken at {TEXT}")

    monkeypatch.setattr(run_ecso, "replaced_output", broken)
    model, inputs, draft = scripted
    Script(model, processor, **SAID)
    arguments = {"return_dict_in_generate": True, "max_new_tokens": 40}
    found, raised = left_behind(model, inputs, draft, logs, **arguments)
    assert found == []
    assert [type(error) for error in raised] == [ECSOProtocolError] * 2


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("events", [0, 1, 2, 3])
def test_an_error_between_two_events_leaves_nothing(processor, scripted, logs, kind, events):
    model, inputs, draft = scripted
    Script(model, processor, **SAID)
    run = model.protected_run(**inputs, max_new_tokens=40)
    watching = iter(run)
    for _ in range(events):
        next(watching)
    with pytest.raises(BaseException) as raised:
        watching.throw(kind("stop"))
    left = {"error": raised.value, "run": run, "model": model, "logs": logs}
    assert find_draft(left, draft) == []


@pytest.mark.parametrize("verdict", ["yes", "no"])
def test_no_keys_and_values_are_returned(processor, scripted, verdict):
    model, inputs, _ = scripted
    Script(model, processor, **{**SAID, "detect": verdict})
    output = model.generate(**inputs, return_dict_in_generate=True, max_new_tokens=40)
    assert output.past_key_values is None


def test_the_search_would_see_it(processor, scripted, logs):
    model, inputs, draft = scripted
    Script(model, processor, **{**SAID, "detect": "no"})
    found, _ = left_behind(model, inputs, draft, logs, max_new_tokens=40)
    assert {path.split("[")[0] for path in found} >= {"output", "run"}
    Script(model, processor, **SAID)
    found, _ = left_behind(model, inputs, draft, logs, ecso={"keep_draft": True}, max_new_tokens=40)
    assert any(".draft" in path for path in found)
