"""The verdict while the draft is still being written: never weaker, earlier, for fewer tokens."""

import asyncio
import json
import logging

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.load.scripted_upstream import (
    CANARY,
    GOOD_ANSWER,
    SAFE_ANSWER,
    Thinking,
    build_upstream,
    step_of,
)
from modeling_ecso import ECSOConfig
from modeling_ecso.endpoint.chat import Chat
from modeling_ecso.endpoint.model_server import ModelServerError
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.run import EndpointRun
from tests.support.leaks import Draft, find_draft
from tests.support.pieces import PiecedServer
from tests.support.streaming_transport import StreamingTransport


PIXEL = "data:image/png;base64,iVBORw0KGgo="
CHECKPOINTS = {"draft_checkpoints": [32, 128]}
# A word takes long enough for a verdict to come before the next.
AT_EASE = {"word_seconds": 0.001}


def ran(server, text="What is this?", preset="paper", max_prompts=128, **changes):
    """A finished run."""
    config = ECSOConfig.from_preset(preset, **changes)
    run = EndpointRun(server, Chat.of_one_turn(text, (PIXEL,)), config, max_prompts=max_prompts)

    async def all_steps():
        async with asyncio.timeout(10):
            async for _ in run:
                pass

    asyncio.run(all_steps())
    return run


def over_http(text, preset="paper", wrap=StreamingTransport, changes=None, **kind):
    """A finished run in front of the scripted server, and that server."""
    app = build_upstream(**kind)
    server = OpenAIServer("http://u/v1", "scripted", retries=0, timeout_s=5, transport=wrap(app))
    return ran(server, text, preset, **(changes or {})), app


TEXTS = ["What is this?", "unsafe", "words=300", "unsafe words=300 after=5"]
TEXTS += ["unsafe words=300 after=290", "words=300 fault=detect:unclear", "fault=detect:500"]


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_comes_out_is_what_comes_out_behind_a_server_that_does_not_stream(text, preset):
    ends = []
    for streams in (True, False):
        run, app = over_http(text, preset, streams=streams, **AT_EASE)
        assert (app.state.stats["words"] > 0) is streams
        ends.append((run.answer.text, run.answer.finish_reason, run.reason, run.trace.verdict))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("preset", "changes"), [("paper", CHECKPOINTS), ("hardened", {})])
def test_an_unsafe_draft_is_abandoned_and_cancelled_on_the_model_server(preset, changes):
    text = "unsafe words=400 after=20"
    run, app = over_http(text, preset, changes=changes, **AT_EASE)
    assert run.answer.text == SAFE_ANSWER and run.trace.verdict == "unsafe"
    assert app.state.stats["left"] == 1
    whole, _ = over_http(text, preset, changes=changes, streams=False)
    tokens = [sum(one.tokens for one in each.trace.steps) for each in (run, whole)]
    assert tokens[0] < tokens[1] / 5
    # The client's own counts are there although the draft never came to its end.
    assert set(run.prompt_tokens.values()) >= {100} and len(run.prompt_tokens) == 4
    assert CANARY not in repr(run.trace)
    assert not find_draft({"run": run}, Draft((CANARY,), ()))


def test_a_full_window_is_judged_at_once_where_the_settings_name_no_checkpoint():
    """Every preset judges it in the end, so that this changes no verdict."""
    run, app = over_http("unsafe words=2000 after=20", **AT_EASE)
    assert run.answer.text == SAFE_ANSWER
    assert app.state.stats["words"] < 500  # a window is 1,927 characters, 383 words


def test_only_the_last_question_is_left_when_the_draft_ends():
    run, app = over_http("words=800", "paper", **AT_EASE)
    questions = [str(c["messages"]) for c in app.state.calls if "yes or no" in str(c["messages"])]
    judged = [one for one in questions if "sky" not in one]
    assert run.reason is None and len(judged) == len(set(judged)) == 3
    *_, last = run.trace.steps
    assert last.tokens == 1


def test_all_that_was_asked_is_counted_beginnings_and_what_was_abandoned_too():
    run, app = over_http("words=800", "paper", **AT_EASE)
    assert (run.tokens["detect"], run.prompt_tokens["detect"]) == (3, 300)
    assert run.tokens["direct"] == 800
    run, app = over_http("unsafe words=400 after=20", "hardened", **AT_EASE)
    assert 20 < run.tokens["direct"] <= app.state.stats["words"] < 400


def test_a_draft_is_counted_as_far_as_it_came_where_its_reader_left():
    app = build_upstream(**AT_EASE)
    server = OpenAIServer("http://u/v1", "scripted", transport=StreamingTransport(app))
    chat = Chat.of_one_turn("words=800", (PIXEL,))
    run = EndpointRun(server, chat, ECSOConfig.from_preset("paper"))

    async def leave():
        async def steps():
            async for _ in run:
                pass

        task = asyncio.create_task(steps())
        while app.state.stats["words"] < 40:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert not run.is_over and 20 < run.tokens["direct"] <= app.state.stats["words"] < 800


FRAMES = st.text("ab. ", min_size=1, max_size=12)


@settings(max_examples=min(settings().max_examples, 300))
@given(
    pieces=st.lists(st.one_of(FRAMES, st.just(CANARY), st.just(CANARY[:9])), max_size=30),
    delays=st.lists(st.integers(-3, 12), min_size=1, max_size=6),
    window=st.sampled_from([16, 40, 1927]),
    checkpoints=st.sampled_from([[], [1], [3, 8]]),
    short_windows=st.sampled_from(["never", "always"]),
    thought=st.lists(st.one_of(FRAMES, st.just(CANARY)), max_size=3),
)
def test_no_verdict_is_weaker_for_being_early(
    pieces, delays, window, checkpoints, short_windows, thought
):
    changes = {
        "window_overlap_chars": 0,
        "window_chars": window,
        "draft_checkpoints": checkpoints,
        "short_windows": short_windows,
        "shortest_window_chars": 16,
    }
    # Whatever comes early may be late or fail; of the last question this is today's matter.
    streamed = PiecedServer(pieces, [*delays, 0], thought=thought)
    whole = PiecedServer(pieces, streams=False, thought=thought)
    early, late = (ran(server, **changes) for server in (streamed, whole))
    if late.reason is not None:
        assert early.reason is not None and early.answer.text != "".join(pieces).strip()
    if early.reason is None:
        assert early.answer == late.answer
    elif late.reason is None:
        # Stricter alone by a beginning that is unsafe by itself, or by a question that failed.
        assert CANARY in "".join([*thought, *pieces]) or min(delays) < 0


@pytest.mark.parametrize("kind", ["cut", "malformed", "error", "unfinished"])
@pytest.mark.parametrize("text", ["words=300", "unsafe words=300 after=250"])
def test_a_fault_in_the_stream_is_one_of_the_model_server_and_tells_nothing(kind, text, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ModelServerError) as raised:
        over_http(f"{text} fault=direct:{kind}", changes=CHECKPOINTS)
    assert raised.value.__context__ is None
    assert not find_draft({"error": raised.value}, Draft(("kite kite", CANARY), ()))
    assert CANARY not in caplog.text


def test_a_beginning_that_was_found_unsafe_before_the_fault_is_answered_safely():
    run, _ = over_http("unsafe words=300 after=9 fault=direct:cut", changes=CHECKPOINTS, **AT_EASE)
    assert run.answer.text == SAFE_ANSWER


@pytest.mark.parametrize(("pieces", "safe"), [(["kite "] * 60, True), ([CANARY] + ["k "] * 60, 0)])
def test_a_beginning_that_could_not_be_judged_settles_nothing(pieces, safe):
    server = PiecedServer(pieces, delays=[-1, 0])
    run = ran(server, **CHECKPOINTS)
    assert run.trace.failed_step is None
    assert (run.answer.text == "".join(pieces).strip()) is bool(safe)


def test_fields_of_a_stream_that_a_server_refuses_are_not_sent_again():
    app = build_upstream(streams=False)
    server = OpenAIServer("http://u/v1", "m", retries=0, transport=StreamingTransport(app))

    async def twice():
        for _ in range(2):
            run = EndpointRun(
                server, Chat.of_one_turn("x", (PIXEL,)), ECSOConfig.from_preset("paper")
            )
            async for _ in run:
                pass
            assert run.answer.text == GOOD_ANSWER

    asyncio.run(twice())
    asked = [c for c in app.state.calls if step_of(str(c["messages"])) == "direct"]
    assert [bool(one.get("stream")) for one in asked] == [True, True, False, False]


def test_a_server_that_sends_the_whole_where_a_stream_was_asked_for_is_read():
    class Whole(StreamingTransport):
        async def handle_async_request(self, request):
            body = json.loads(await request.aread())
            body.pop("stream", None)
            plain = httpx2.Request("POST", request.url, json=body)
            return await super().handle_async_request(plain)

    run, app = over_http("unsafe", wrap=Whole)
    assert run.answer.text == SAFE_ANSWER and app.state.stats["words"] == 0


def test_an_answer_that_is_longer_than_can_be_judged_is_not_written_to_its_end():
    server = PiecedServer(["word "] * 500)
    run = ran(server, max_prompts=2, window_chars=100, window_overlap_chars=0)
    assert run.reason == "unjudged" and run.answer.finish_reason == "content_filter"
    assert server.is_left and server.written < 60


def test_a_thought_is_judged_while_the_model_thinks():
    thought = f"I know that {CANARY}. " + "Well then. " * 200
    run, app = over_http(
        "words=50", changes=CHECKPOINTS, thinking=Thinking(thought=thought), **AT_EASE
    )
    assert run.answer.text == SAFE_ANSWER and run.answer.thought == ""
    assert app.state.stats["left"] == 1 and app.state.stats["words"] < 100


def test_log_probabilities_that_are_lost_while_the_draft_is_written_are_done_without():
    class Restarted(StreamingTransport):
        asked = 0

        async def handle_async_request(self, request):
            body = json.loads(await request.aread())
            self.asked += 1
            if self.asked > 2:  # the probe and the draft
                body.pop("logprobs", None)
            plain = httpx2.Request("POST", request.url, json=body)
            return await super().handle_async_request(plain)

    for text, answer in (("words=200", "kite " * 200), ("unsafe words=200 after=9", SAFE_ANSWER)):
        run, _ = over_http(text, "hardened", wrap=Restarted, **AT_EASE)
        assert run.answer.text == answer.strip() and run.reads_text_instead


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["draft", "verdict"])
def test_an_interrupt_while_the_draft_is_written_comes_through_without_it(where, interrupt):
    class Interrupting(PiecedServer):
        async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
            is_verdict = step_of(str(messages)) == "detect"
            if is_verdict and where == "verdict":
                raise interrupt
            if not is_verdict and where == "draft":
                on_piece_first(on_piece)
                raise interrupt
            return await super().complete(messages, fields, wants_logprobs, on_piece)

    def on_piece_first(on_piece):
        from modeling_ecso.endpoint.streamed_completion import StreamedCompletion

        said = StreamedCompletion()
        said.add({"choices": [{"delta": {"content": CANARY}}]})
        on_piece(said)

    server = Interrupting([CANARY] + ["kite "] * 60)
    with pytest.raises(interrupt) as caught:
        ran(server, **CHECKPOINTS)
    assert not find_draft({"error": caught.value}, Draft((CANARY,), ()))
