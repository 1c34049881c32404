"""No way out for a draft that was judged unsafe or could not be judged: every channel is read."""

import gc
import logging
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.streamers import BaseStreamer

from modeling_ecso import ECSOStepError
from tests.support.log_reader import LogReader
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


SECRET = "xyzzy draft"


class Recorder(BaseStreamer):
    def __init__(self):
        self.ids = []

    def put(self, value):
        self.ids += value.flatten().tolist()

    def end(self):
        self.ids.append(-1)


@pytest.fixture(scope="module")
def scripted(processor):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    logs = LogReader()
    logger = logging.getLogger()
    logger.addHandler(logs)
    yield model, inputs, logs
    logger.removeHandler(logs)


def frames_of(error):
    """Everything a debugger would show beside a traceback."""
    shown = "".join(traceback.format_exception(error))
    walk = error.__traceback__
    while walk:
        if "tests/" not in walk.tb_frame.f_code.co_filename:
            shown += repr(walk.tb_frame.f_locals)
        walk = walk.tb_next
    return shown


def seen_of(model, processor, inputs, logs, **arguments):
    """Run, and return everything that comes out, as text, and the output."""
    logs.said.clear()
    streamer = Recorder()
    output, error = None, None
    try:
        output = model.generate(
            **inputs, streamer=streamer, return_dict_in_generate=True, **arguments
        )
        run = model.protected_run(**inputs, return_dict_in_generate=True, **arguments)
        events = list(run)
    except ECSOStepError as raised:
        error, events = raised, []
    seen = processor.tokenizer.decode([i for i in streamer.ids if i >= 0])
    seen += logs.text + repr(events)
    if error is not None:
        seen += frames_of(error)
        assert error.__cause__ is None and error.__suppress_context__ or error.__context__ is None
    if output is not None:
        seen += processor.tokenizer.decode(output.sequences[0].tolist())
        seen += repr(output.ecso_traces) + str([t.to_dict() for t in output.ecso_traces])
        if output.ecso_traces[0].draft_withheld:
            assert output.past_key_values is None
    return seen, output, error


WORDS = st.one_of(
    st.sampled_from(["yes", "no", "Yes.", "unsure", "", "no yes", f"yes {SECRET}"]),
    st.text(max_size=12),
    st.builds(RuntimeError, st.just(f"broken at {SECRET}")),
    st.builds(MemoryError, st.just(SECRET)),
)
HARMLESS_WORDS = st.one_of(
    st.text(max_size=12), st.builds(ValueError, st.just(f"broken at {SECRET}"))
)


@given(
    preset=st.sampled_from(["reference", "paper", "hardened"]),
    on_error=st.sampled_from(["refuse", "raise"]),
    verdict=WORDS,
    caption=HARMLESS_WORDS,
    safe=HARMLESS_WORDS,
    checkpoints=st.sampled_from([[], [1, 3]]),
)
def test_no_channel_shows_a_withheld_draft(
    processor, scripted, preset, on_error, verdict, caption, safe, checkpoints
):
    model, inputs, logs = scripted
    Script(model, processor, direct=SECRET, detect=verdict, caption=caption, safe=safe)
    ecso = {"preset": preset, "on_error": on_error, "draft_checkpoints": checkpoints}
    seen, output, error = seen_of(model, processor, inputs, logs, max_new_tokens=40, ecso=ecso)
    if error is not None:
        assert on_error == "raise"
        assert SECRET not in seen
    elif output.ecso_traces[0].draft_withheld:
        # A caption or safe answer could only hold the secret if the script put it there.
        assert SECRET not in seen
    else:
        assert not isinstance(verdict, BaseException)
        assert SECRET in seen


def test_the_streamer_gets_the_answer_and_only_that(processor, scripted):
    model, inputs, _ = scripted
    Script(model, processor, direct=SECRET, detect="yes", caption="a kite", safe="all good")
    streamer = Recorder()
    output = model.generate(**inputs, streamer=streamer)
    assert streamer.ids == [*output[0].tolist(), -1]
    Script(model, processor, direct="fine", detect="no")
    streamer = Recorder()
    output = model.generate(**inputs, streamer=streamer)
    assert streamer.ids == [*output[0].tolist(), -1]


def test_text_alone_streams_as_it_is_written(processor, scripted):
    model, _, _ = scripted
    inputs = make_inputs(processor, [user_turn("hello", 0)], [[]])
    script = Script(model, processor, direct="fine")
    handed_on = []
    model._generate_plainly = lambda **kwargs: (
        handed_on.append(kwargs.get("streamer")) or script(**kwargs)
    )
    streamer = Recorder()
    model.generate(**inputs, streamer=streamer)
    assert handed_on == [streamer]
    model.generate(**inputs, streamer=Recorder(), ecso={"judge_text_only": True})
    assert handed_on[1:] and not any(handed_on[1:])


def test_a_broken_row_is_refused_and_the_others_are_answered(processor, scripted):
    model, _, _ = scripted

    def verdict(prompt):
        return RuntimeError(SECRET) if "poison" in prompt else "no"

    Script(model, processor, direct="fine", detect=verdict)
    turns = [user_turn("one"), user_turn("poison"), user_turn("two")]
    inputs = make_inputs(processor, turns, [[image(i)] for i in range(3)])
    output = model.generate(**inputs, return_dict_in_generate=True)
    outcomes = [trace.outcome.value for trace in output.ecso_traces]
    assert outcomes == ["direct", "refusal", "direct"]
    answers = processor.batch_decode(
        output.sequences[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
    )
    assert answers == [" fine", " I can't help with that.", " fine"]


def test_a_kept_draft_is_in_the_trace_and_nowhere_else(processor, scripted):
    model, inputs, logs = scripted
    Script(model, processor, direct=SECRET, detect="yes", caption="a kite", safe="all good")
    output = model.generate(**inputs, return_dict_in_generate=True, ecso={"keep_draft": True})
    assert output.ecso_traces[0].draft == SECRET
    assert SECRET not in repr(output)
    assert SECRET not in processor.decode(output.sequences[0])


def test_nothing_of_the_draft_stays_behind_in_the_model(processor, scripted):
    model, inputs, _ = scripted
    Script(model, processor, direct=SECRET, detect="yes", caption="a kite", safe="all good")
    model.generate(**inputs)
    gc.collect()
    state = {k: v for k, v in vars(model).items() if k not in ("_generate_plainly", "processor")}
    assert SECRET not in repr(state)


def test_the_safe_step_gets_no_images(processor, scripted):
    model, inputs, _ = scripted
    script = Script(model, processor, direct=SECRET, detect="yes", caption="kite", safe="good")
    model.generate(**inputs)
    seen = {step: images > 0 for step, images in script.images}
    assert seen == {"direct": True, "detect": True, "caption": True, "safe": False}
    assert not any("<image>" in prompt for step, prompt in script.prompts if step == "safe")
