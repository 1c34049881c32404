"""Whatever is shown was judged safe together with everything before it, whatever happens."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.load.scripted_upstream import CANARY, SAFE_ANSWER
from modeling_ecso import ECSOConfig, ECSOConfigError, ECSOStepError
from modeling_ecso.endpoint.chat import Chat
from modeling_ecso.endpoint.model_server import ModelServerError, ServerTraits
from modeling_ecso.endpoint.run import EndpointRun
from modeling_ecso.endpoint.sampling import Sampling
from modeling_ecso.endpoint.special_text import as_plain_text
from modeling_ecso.prompts_ecso import JudgedAnswer, detect_prompts
from tests.support.leaks import Draft, find_draft
from tests.support.pieces import PiecedServer


PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
QUESTION = {"role": "user", "content": [PIXEL, {"type": "text", "text": "What is this?"}]}
# What the harmful phrase is made of, so that it may come in slices.
FIRST_HALF, SECOND_HALF = CANARY[:14], CANARY[15:]


class Watcher:
    """A reader that holds everything it is shown against what was judged by then."""

    def __init__(self, server, chat, config, sampling, thought):
        self._server, self._chat, self._config = server, chat, config
        self._runs_on, self._thought = sampling.temperature is not None, thought
        self.seen, self.steps, self.withdrawn = "", [], False

    def show_up_to(self, text):
        assert not self.withdrawn, "a draft goes on after it was withdrawn"
        if len(text) > len(self.seen):
            assert text.startswith(self.seen)
            self.seen = text
            self.steps.append(text)
            assert self._was_judged(text), text

    def withdraw(self):
        self.withdrawn = self.withdrawn or bool(self.seen)
        self.seen = ""

    def _was_judged(self, text):
        """Whether all is judged that would be if the draft ended somewhere behind the text."""
        safe = set(self._server.judged)
        whole = "".join(self._server.pieces)
        start = len(whole) - len(whole.lstrip())
        return any(
            all(as_plain_text(prompt) in safe for prompt in self._prompts(whole[start:end].strip()))
            for end in range(start + len(text), len(whole) + 1)
        )

    def _prompts(self, beginning):
        chat = self._chat
        answer = JudgedAnswer(
            beginning, chat.begun, chat.earlier_answers, self._runs_on, self._thought
        )
        return detect_prompts(self._config, chat.query, answer)


def watched(server, config, messages=(QUESTION,), sampling=None, thought=""):
    """A run that has ended, however it did, its reader and the error."""
    sampling, chat, error = sampling or Sampling(), Chat.of_messages(list(messages)), None
    reader = Watcher(server, chat, config, sampling, thought)
    run = EndpointRun(server, chat, config, sampling, reader=reader)

    async def all_steps():
        async with asyncio.timeout(20):
            async for _ in run:
                pass

    try:
        asyncio.run(all_steps())
    except (ModelServerError, ECSOStepError) as raised:
        error = raised
    return run, reader, error


SLICES = [CANARY, FIRST_HALF, f" {SECOND_HALF}", SECOND_HALF, CANARY[:5], " "]
PIECES = st.lists(
    st.one_of(st.text("ab. \n", min_size=1, max_size=9), st.sampled_from(SLICES)), max_size=40
)


@settings(max_examples=min(settings().max_examples, 300))
@given(
    pieces=PIECES,
    delays=st.lists(st.integers(-4, 15), min_size=1, max_size=8),
    ends=st.sampled_from(["whole", "whole", "cut", "unfinished"]),
    preset=st.sampled_from(["paper", "hardened"]),
    window=st.sampled_from([(1927, 200), (64, 32)]),
    spacing=st.integers(1, 6),
    hold_back=st.sampled_from([0, 3, 56]),
    dilutes=st.booleans(),
    earlier=st.sampled_from(["", FIRST_HALF, f"Well: {FIRST_HALF}"]),
    on_error=st.sampled_from(["refuse", "raise"]),
    thought=st.sampled_from(["", "Hm.", CANARY]),
)
def test_whatever_is_shown_was_judged_safe_with_everything_before_it(
    pieces,
    delays,
    ends,
    preset,
    window,
    spacing,
    hold_back,
    dilutes,
    earlier,
    on_error,
    thought,
):
    config = ECSOConfig.from_preset(
        preset,
        stream="windows",
        window_chars=window[0],
        window_overlap_chars=window[1],
        stream_checkpoint_tokens=spacing,
        stream_hold_back_chars=hold_back,
        on_error=on_error,
    )
    # Diluted harm is found in short windows, which are asked about where answers can run on.
    sampling = Sampling(temperature=1.5 if dilutes else None)
    server = PiecedServer(
        pieces, delays, ends=ends, thought=[thought], most_seen=60 if dilutes else 10**6
    )
    turns = [{"role": "assistant", "content": earlier}, QUESTION] if earlier else []
    run, reader, error = watched(server, config, [QUESTION, *turns], sampling, thought)

    for shown in reader.steps:
        said = f"{earlier} {shown}" if preset == "hardened" else shown
        assert CANARY not in said and CANARY not in thought
    if error is not None:
        assert not find_draft({"error": error, "run": run}, Draft((CANARY,), ()))
    elif run.reason is None:
        assert not reader.withdrawn and run.answer.text.startswith(reader.seen)
        assert run.answer.text == "".join(pieces).strip()
    else:
        # Void is whatever was shown of another answer, and nothing else.
        assert reader.withdrawn is bool(reader.steps)
        assert run.answer.text in (SAFE_ANSWER, config.refusal)


def stream_config(**changes):
    settings = {"stream": "windows", "stream_checkpoint_tokens": 4, "stream_hold_back_chars": 10}
    return ECSOConfig.from_preset("paper", **(settings | changes))


def test_a_benign_answer_is_shown_while_it_is_written_up_to_the_hold_back():
    server = PiecedServer([f"word{number} " for number in range(30)])
    run, reader, _ = watched(server, stream_config())
    assert len(reader.steps) > 4 and run.reason is None
    assert len(reader.steps[0]) <= len("word0 word1 word2 word3") - 10
    assert len(run.answer.text) - len(reader.seen) >= 10


def test_nothing_is_shown_of_what_stands_before_harm_by_less_than_the_hold_back():
    before = ["one ", "two ", "three ", "four "]
    server = PiecedServer([*before, FIRST_HALF + " ", SECOND_HALF, " end"] + ["k "] * 20)
    run, reader, _ = watched(server, stream_config(stream_hold_back_chars=100))
    assert run.answer.text == SAFE_ANSWER and not reader.steps and not reader.withdrawn


def test_nothing_is_shown_that_is_harmful_behind_an_earlier_answer():
    earlier = {"role": "assistant", "content": FIRST_HALF}
    server = PiecedServer([f"{SECOND_HALF} ", *["word "] * 40])
    config = ECSOConfig.from_preset(
        "hardened", stream="windows", stream_checkpoint_tokens=4, stream_hold_back_chars=0
    )
    # The same answer alone is harmless, and flows.
    _, reader, _ = watched(PiecedServer(server.pieces), config)
    assert reader.steps
    run, reader, _ = watched(server, config, [QUESTION, earlier, QUESTION])
    assert not reader.steps and run.answer.text == SAFE_ANSWER


@pytest.mark.parametrize("preset", ["paper", "hardened"])
def test_nothing_is_shown_that_is_harmful_in_a_short_window_alone(preset):
    config = ECSOConfig.from_preset(
        preset, stream="windows", stream_checkpoint_tokens=100, stream_hold_back_chars=0
    )
    pieces = [*["word "] * 60, f"{CANARY} ", *["word "] * 80]
    # Where answers cannot run on, short windows of their middle are not looked at.
    _, reader, _ = watched(PiecedServer(pieces, most_seen=200), config)
    assert CANARY in reader.seen
    server = PiecedServer(pieces, most_seen=200)
    run, reader, _ = watched(server, config, sampling=Sampling(temperature=1.5))
    assert CANARY not in "".join(reader.steps) and run.answer.text == SAFE_ANSWER


def test_harm_that_comes_late_voids_what_was_shown_before_the_safe_answer_is_written():
    server = PiecedServer(["fine "] * 30 + [CANARY] + ["k "] * 20)
    run, reader, _ = watched(server, stream_config())
    assert reader.steps and reader.withdrawn and run.answer.text == SAFE_ANSWER
    assert server.is_left


def test_a_beginning_that_could_not_be_judged_is_shown_once_a_later_one_was():
    server = PiecedServer(["word "] * 40, delays=[-1, -1, 0])
    run, reader, _ = watched(server, stream_config())
    assert reader.steps and run.reason is None
    never = PiecedServer(["word "] * 40, delays=[-1])
    run, reader, _ = watched(never, stream_config())
    assert not reader.steps and run.reason == "model_server"


@pytest.mark.parametrize(("stream", "is_shown"), [("windows", True), ("verdict", False)])
def test_what_is_not_judged_is_shown_as_it_comes_and_only_with_the_setting(stream, is_shown):
    server, seen = PiecedServer(["word "] * 40), []

    class Reader:
        def show_up_to(self, text):
            seen.append(text)

    chat = Chat.of_messages([{"role": "user", "content": "What is a kite?"}])
    config = ECSOConfig.from_preset("paper", stream=stream)
    run = EndpointRun(server, chat, config, reader=Reader())

    async def all_steps():
        async for _ in run:
            pass

    asyncio.run(all_steps())
    assert (len(seen) > 5) is is_shown and not server.judged


class ThinksInContent(PiecedServer):
    async def traits(self, anew=False):
        return ServerTraits(False, "content", {"reasoning_effort": "none"})


@pytest.mark.parametrize("opening", ["<think>", ""])
def test_a_thought_in_the_content_is_not_shown_before_the_answer_has_passed(opening):
    pieces = [opening, *["hm "] * 20, "</think>", *["word "] * 20]
    for sampling in (None, Sampling(reasoning_effort="low"), Sampling(enable_thinking=False)):
        run, reader, _ = watched(ThinksInContent(pieces), stream_config(), sampling=sampling)
        assert not reader.steps and run.answer.text == "".join(pieces).strip()


@pytest.mark.parametrize("keep_thought", [True, False])
def test_a_thought_that_comes_although_it_was_switched_off_was_judged_as_it_was_shown(keep_thought):
    sampling, config = Sampling(reasoning_effort="none"), stream_config(keep_thought=keep_thought)
    pieces = [*["hm "] * 40, "</think>", *["word "] * 20]
    run, reader, _ = watched(ThinksInContent(pieces), config, sampling=sampling)
    assert reader.seen and ("hm " * 40).startswith(reader.seen) and run.reason is None
    assert run.answer.text == ("".join(pieces) if keep_thought else "word " * 20).strip()
    harmful = [*["hm "] * 40, CANARY, "</think>", *["word "] * 20]
    run, reader, _ = watched(ThinksInContent(harmful), config, sampling=sampling)
    assert reader.withdrawn and run.answer.text == SAFE_ANSWER
    assert CANARY not in "".join(reader.steps)


def test_a_stream_in_windows_needs_that_all_of_an_answer_is_judged():
    with pytest.raises(ECSOConfigError, match="ecso.stream needs the draft_view 'windows'"):
        ECSOConfig.from_preset("reference", stream="windows")
    config = ECSOConfig.from_preset("paper", stream="windows")
    with pytest.raises(ECSOConfigError, match="ecso.draft_view leaves unjudged"):
        config.draft_view = "head"
