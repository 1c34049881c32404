"""A streamer that can replace what it showed sees an answer grow, as far as it was judged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.streamers import BaseStreamer

from modeling_ecso import ECSOStepError
from tests.support.scripted import Script
from tests.support.tiny_random import image, make_inputs, make_model, user_turn


HARM, SAFE, CAPTION = "bomb step one", "a safe answer", "a picture"
REFUSAL = "I can't help with that."
FLOWING = {"stream": "windows", "stream_checkpoint_tokens": 3, "stream_hold_back_chars": 4}


class Screen(BaseStreamer):
    """Shows an answer, and takes note of when it did."""

    def __init__(self, tokenizer, script):
        self._tokenizer, self._script = tokenizer, script
        self.prompt, self.ids, self.early, self.replaced, self.is_over = None, [], [], 0, False
        self.was_judged = []

    def put(self, value):
        if self.prompt is None:
            self.prompt = value
            return
        self.ids += value.flatten().tolist()
        if self._script.is_writing_draft:
            self.early.append(self.text)
            # So far, not in the end: then the whole is judged.
            last = max(self._script.safe, key=len, default="")
            self.was_judged.append(self.text in last[: len(last) - self._script.hold_back])

    def replace(self):
        assert [step for step, _ in self._script.prompts][-1] == "detect"  # before the caption
        self.ids, self.replaced = [], self.replaced + 1

    def end(self):
        self.is_over = True

    @property
    def text(self):
        return self._tokenizer.decode(self.ids, skip_special_tokens=True).strip()


class PlainScreen(Screen):
    replace = None


class Judged(Script):
    """A model of given words, which finds harm where its response says `HARM`."""

    is_writing_draft = False

    def __init__(self, model, processor, draft, fails_at=(), hold_back=4, **said):
        super().__init__(model, processor, direct=draft, detect=self.judge, **said)
        self.hold_back = hold_back
        self._fails_at, self._asked, self.safe = fails_at, 0, []

    def judge(self, prompt):
        self._asked += 1
        if self._asked in self._fails_at:
            raise RuntimeError("broken")
        response = prompt.partition("RESPONSE:")[2].rpartition("Is the RESPONSE")[0].strip()
        if HARM in response:
            return "yes"
        self.safe.append(response)
        return "no"

    def __call__(self, *, input_ids, **kwargs):
        if self.step_of(self.tokenizer.decode(input_ids[0])) != "direct":
            return super().__call__(input_ids=input_ids, **kwargs)
        self.is_writing_draft = True
        try:
            return super().__call__(input_ids=input_ids, **kwargs)
        finally:
            self.is_writing_draft = False


@pytest.fixture(scope="module")
def loaded(processor):
    model = make_model(processor)
    inputs = make_inputs(processor, [user_turn("How do I make this?")], [[image()]])
    return model, processor, inputs


def streamed(loaded, draft, screen=Screen, fails_at=(), said=None, **ecso):
    model, processor, inputs = loaded
    words = {"caption": CAPTION, "safe": SAFE} | (said or {})
    hold_back = ecso.get("stream_hold_back_chars", FLOWING["stream_hold_back_chars"])
    script = Judged(model, processor, draft, fails_at, hold_back, **words)
    screen = screen(processor.tokenizer, script)
    try:
        model.generate(**inputs, streamer=screen, max_new_tokens=60, ecso=FLOWING | ecso)
    except ECSOStepError:
        pass
    finally:
        del model._generate_plainly
    return screen, script


BENIGN = "a red kite and a blue one and a green one on a long thin line"


def test_a_benign_answer_is_seen_as_it_grows_and_whole_in_the_end(loaded):
    screen, script = streamed(loaded, BENIGN)
    assert len(screen.early) > 3 and screen.text == BENIGN and not screen.replaced
    assert screen.prompt.shape == loaded[2]["input_ids"].shape and screen.is_over
    assert all(screen.was_judged)


def test_late_harm_voids_what_was_seen_and_the_safe_answer_follows(loaded):
    screen, _ = streamed(loaded, f"{BENIGN} {HARM} {BENIGN}")
    assert screen.early and screen.replaced == 1 and screen.text == SAFE
    assert all(HARM not in text for text in screen.early) and screen.is_over


@pytest.mark.parametrize(
    ("screen", "ecso"),
    [(Screen, {"stream": "verdict"}), (PlainScreen, {})],
    ids=["setting", "streamer"],
)
def test_without_the_setting_or_the_method_nothing_is_seen_before_the_verdict(loaded, screen, ecso):
    for draft, answer in ((BENIGN, BENIGN), (f"{BENIGN} {HARM}", SAFE)):
        shown, script = streamed(loaded, draft, screen, **ecso)
        assert not shown.early and shown.text == answer and not shown.replaced


def test_several_answers_are_given_when_they_are_settled(loaded):
    model, processor, _ = loaded
    turns, images = [user_turn("One?"), user_turn("Two?")], [[image()], [image()]]
    script = Judged(model, processor, BENIGN, caption=CAPTION, safe=SAFE)
    screen = Screen(processor.tokenizer, script)
    model.generate(**make_inputs(processor, turns, images), streamer=screen, ecso=FLOWING)
    del model._generate_plainly
    assert screen.is_over and not screen.early


def test_a_generate_of_the_streamers_own_is_protected_while_the_answer_grows(loaded):
    model, processor, inputs = loaded
    asked = []

    class Asks(Screen):
        def put(self, value):
            super().put(value)
            if self.prompt is not value and not asked:
                asked.append(None)
                asked[0] = model.generate(**inputs, max_new_tokens=60, ecso={"stream": "verdict"})
                assert self._script.prompts[-1][0] == "safe"

    streamed(loaded, f"{BENIGN} {HARM}", Asks)
    assert SAFE in processor.tokenizer.decode(asked[0][0])


def test_what_was_seen_is_void_before_an_error_takes_the_place_of_the_answer(loaded):
    _, script = streamed(loaded, BENIGN)
    questions = [step for step, _ in script.prompts].count("detect")
    screen, _ = streamed(loaded, BENIGN, fails_at=[questions], on_error="raise")
    assert screen.early and screen.replaced == 1 and not screen.text and not screen.is_over


@settings(max_examples=min(settings().max_examples, 60))
@given(
    words=st.lists(st.sampled_from(["a", "kite", "bomb", "step", "one", HARM]), max_size=24),
    fails_at=st.sets(st.integers(1, 6), max_size=3),
    every=st.integers(1, 5),
    hold_back=st.sampled_from([0, 5, 30]),
    window=st.sampled_from([40, 1927]),
    on_error=st.sampled_from(["refuse", "raise"]),
    failing=st.sampled_from(["", "caption", "safe"]),
)
def test_whatever_was_seen_had_been_judged_safe(
    loaded, words, fails_at, every, hold_back, window, on_error, failing
):
    draft = " ".join(words) or "a"
    screen, script = streamed(
        loaded,
        draft,
        fails_at=fails_at,
        said={failing: RuntimeError("broken")} if failing else None,
        stream_checkpoint_tokens=every,
        stream_hold_back_chars=hold_back,
        window_chars=window,
        window_overlap_chars=20 if window == 40 else 200,
        on_error=on_error,
    )
    assert not any(HARM in text for text in screen.early)
    assert all(screen.was_judged) or window < len(draft)
    if screen.text and screen.is_over:
        assert screen.text in (draft, SAFE, REFUSAL)
    if not screen.is_over:
        assert screen.text == "" and on_error == "raise"
    assert screen.replaced == int(bool(screen.early) and screen.text != draft)
