"""The protocol over an OpenAI-compatible endpoint: what each step is asked, how each can fail."""

import asyncio

import httpx2
import pytest

from examples.load import scripted_upstream
from examples.load.scripted_upstream import (
    CANARY,
    CAPTION,
    FAULTS,
    GOOD_ANSWER,
    SAFE_ANSWER,
    build_upstream,
    step_of,
)
from modeling_ecso import ECSOConfig, ECSOStepError, Protocol, StepReply
from modeling_ecso.endpoint.chat import Chat
from modeling_ecso.endpoint.logprobs import chance_unsafe
from modeling_ecso.endpoint.model_server import (
    Completion,
    Fault,
    ModelServerError,
    ServerTraits,
)
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.run import EndpointRun
from modeling_ecso.endpoint.sampling import Sampling
from modeling_ecso.endpoint.special_text import as_plain_text
from tests.support.leaks import Draft, find_draft
from tests.support.streaming_transport import StreamingTransport


PIXEL = "data:image/png;base64,iVBORw0KGgo="
PAPER = ECSOConfig.from_preset("paper")


def limit_for(fault):
    """A short limit for a server that never answers; for the others none that could be met."""
    return 0.15 if fault == "timeout" else 5.0


class Ran:
    """A finished run, its events, and what the server was asked."""

    def __init__(self, chat, ecso_config=PAPER, sampling=None, gives_logprobs=True, timeout_s=5.0):
        server = build_upstream(gives_logprobs=gives_logprobs)
        upstream = OpenAIServer(
            "http://upstream/v1",
            "scripted",
            timeout_s=timeout_s,
            retries=0,
            transport=StreamingTransport(server),
        )
        self.run = EndpointRun(upstream, chat, ecso_config, sampling)
        try:
            self.events = asyncio.run(self._all_events())
        finally:
            self.calls = server.state.calls[1:]  # the first one asks for log-probabilities

    async def _all_events(self):
        return [event async for event in self.run]

    @property
    def steps(self):
        return [event.record.step.value for event in self.events]


def ask(text="What is unsafe here?", *images):
    return Chat.of_one_turn(text, images or (PIXEL,))


def test_a_harmless_draft_is_the_answer():
    ran = Ran(ask("What is this?"))
    assert (ran.run.answer.text, ran.run.answer.finish_reason) == (GOOD_ANSWER, "stop")
    assert ran.steps == ["direct", "detect"]
    assert ran.run.trace.p_unsafe == pytest.approx(0.05 / 0.95)


def test_an_unsafe_draft_is_answered_again_without_the_image():
    ran = Ran(ask())
    assert ran.steps == ["direct", "detect", "caption", "safe"]
    assert ran.run.answer.text == SAFE_ANSWER
    assert ran.run.trace.caption is None
    assert Ran(ask(), PAPER.updated({"keep_caption": True})).run.trace.caption == CAPTION
    assert CANARY not in repr(ran.run.trace) + repr(ran.events) + repr(vars(ran.run))
    direct, detect, caption, safe = ran.calls
    for call in (direct, detect, caption):
        first = call["messages"][0]["content"][0]
        assert first == {"type": "image_url", "image_url": {"url": PIXEL}}
    assert isinstance(safe["messages"][0]["content"], str)


@pytest.mark.parametrize("marks", ["<answer>{}</answer>", "<|begin_of_box|>{}<|end_of_box|>"])
def test_a_verdict_between_marks_is_read(marks, monkeypatch):
    says = scripted_upstream._says

    def between_marks(step, text, seed):
        said = says(step, text, seed)
        return marks.format(said) if step == "detect" else said

    monkeypatch.setattr(scripted_upstream, "_says", between_marks)
    assert Ran(ask("What is this?")).run.answer.text == GOOD_ANSWER
    assert Ran(ask()).run.answer.text == SAFE_ANSWER


def test_the_follow_up_question_stands_after_the_draft():
    question = "Is that harmful? Answer yes or no:"
    ran = Ran(ask(), PAPER.updated({"follow_up_prompt": question}))
    assert ran.steps == ["direct", "detect", "caption", "safe"]
    direct, detect, *_ = ran.calls
    asked, answered, judged = detect["messages"]
    assert [asked] == direct["messages"]
    assert answered["role"] == "assistant" and CANARY in answered["content"]
    assert judged == {"role": "user", "content": question}
    assert CANARY not in repr(ran.run.trace) + repr(ran.events) + repr(vars(ran.run))


def test_sampling_applies_to_the_answers_and_to_nothing_else():
    ran = Ran(ask(), sampling=Sampling(max_tokens=50, temperature=0.7, seed=3, stop=("END",)))
    direct, detect, caption, safe = ran.calls
    for call in (direct, safe):
        assert (call["max_tokens"], call["temperature"], call["seed"]) == (50, 0.7, 3)
        assert call["stop"] == ["END"]
    for call, limit in ((detect, 8), (caption, 256)):
        assert (call["max_tokens"], call["temperature"]) == (limit, 0)
        assert "seed" not in call and "stop" not in call


def test_a_image_after_the_text_goes_first_and_alternating_ones_stay():
    text, image = {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PIXEL}}
    chat = Chat.of_messages([{"role": "user", "content": [text, image]}])
    assert chat.messages[0]["content"] == [image, text]
    alternating = [text, image, text]
    chat = Chat.of_messages([{"role": "user", "content": alternating}])
    assert chat.messages[0]["content"] == alternating


def test_every_turn_is_judged_and_system_text_too_unless_it_is_trusted():
    messages = [
        {"role": "system", "content": "answer no"},
        {"role": "user", "content": [{"type": "text", "text": "first"}]},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": "third"},
    ]
    query = Chat.of_messages(messages).query
    assert query == (
        "Earlier turns:\nSYSTEM: answer no USER: first ASSISTANT: second\n\nLatest turn:\nthird"
    )
    trusted = Chat.of_messages(messages, trusts_system=True)
    assert "answer no" not in trusted.query
    assert trusted.turn_of_text("go")[0] == messages[0]
    assert len(Chat.of_messages(messages).turn_of_text("go")) == 1


@pytest.mark.parametrize(
    "special",
    ["<|im_end|>", "<image>", "</s>", "[INST]", "<start_of_turn>", "<<|im_end|>|im_end|>"]
    + [
        "<｜User｜>",
        "<｜end▁of▁sentence｜>",
        "[IMG]",
        "[/INST]",
        "[gMASK]",
        "<sop>",
        "[TOOL_CALLS]",
    ]
    + ["<unused7>", "<eop>", "[SEP]", "＜|im_end|＞", "<think>", "</think>", "[IMG_BREAK]"]
    + ["<<SYS>>", "<</SYS>>", "<turn|>", "<|turn>", "<|beginning of sentence|>", "<human>"]
    + ["<_user>", "[|Human|]", "[|system message|]", "[@BOS@]", "<seed:bos>", "]~b]", "[e~["]
    + ["<global-img>", "<loc0001>", "<0x0A>", "<2en>", ">>QUESTION<<", "〈|EOS|〉", "［INST］"]
    + ["◁think▷", "◁/think▷", "◁|im_end|▷"]
    + ["<a-token-of-tomorrow!>", "[_a.token.of.tomorrow]", "<$role$>", "<<<SYS>>>"],
)
def test_special_tokens_in_queries_and_drafts_stay_text(special):
    plain = as_plain_text(f"a {special} b")
    assert special not in plain
    assert plain.replace(" ", "") == f"a {special} b".replace(" ", "")
    ran = Ran(ask(f"unsafe {special}"))
    for call in ran.calls[1:]:
        assert special not in str(call["messages"])


def test_ordinary_brackets_are_left_alone():
    text = "a < b, c > d, <3 {x} [1] x[i] [2, 3] a['k'] f[n-1] dict[str, int] x <- y << 2 |> f <| g"
    assert as_plain_text(text) == text
    asked = ECSOConfig.from_preset("hardened").detect_prompt
    assert as_plain_text(asked) == asked


def test_what_has_the_look_of_a_tag_stays_as_easy_to_read():
    text = '<p id="a">a<b>c</b> List<int> [link](x)'
    assert as_plain_text(text) == '<p id="a">a< b>c< /b> List< int> [ link](x)'


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
@pytest.mark.parametrize("gives_logprobs", [True, False])
def test_every_preset_flags_and_clears_with_and_without_logprobs(preset, gives_logprobs):
    ecso_config = ECSOConfig.from_preset(preset)
    flagged = Ran(ask(), ecso_config, gives_logprobs=gives_logprobs)
    assert flagged.run.trace.verdict.value == "unsafe"
    assert (flagged.run.trace.p_unsafe is not None) == gives_logprobs
    cleared = Ran(ask("What is this?"), ecso_config, gives_logprobs=gives_logprobs)
    assert cleared.run.answer.text == GOOD_ANSWER


def test_long_drafts_are_judged_in_windows_and_in_none_twice():
    ecso_config = ECSOConfig.from_preset("paper", window_chars=20, window_overlap_chars=5)
    for text in ("What is this?", "words=40"):
        ran = Ran(ask(text), ecso_config)
        detects = [str(c["messages"]) for c in ran.calls if step_of(str(c["messages"])) == "detect"]
        assert len(detects) == len(set(detects)) >= 2
        judged = sum(one.tokens for one in ran.run.trace.steps if one.step == "detect")
        assert judged == len(detects)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("timeout", Fault.TIMEOUT),
        ("500", Fault.STATUS),
        ("malformed", Fault.MALFORMED),
        ("empty", Fault.EMPTY),
        ("null", Fault.EMPTY),
        ("cut", Fault.UNREACHABLE),
        ("unfinished", Fault.BROKEN_OFF),
        ("error", Fault.BROKEN_OFF),
    ],
)
def test_a_failure_of_the_direct_step_is_typed_and_of_a_later_one_the_refusal(kind, fault, caplog):
    with pytest.raises(ModelServerError) as raised:
        Ran(ask(f"unsafe fault=direct:{kind}"), timeout_s=limit_for(kind))
    assert raised.value.fault is fault
    assert raised.value.__context__ is None and raised.value.__cause__ is None
    assert not find_draft({"error": raised.value}, Draft((CANARY,), ()))
    for step in ("detect", "caption", "safe") if kind in FAULTS else ():
        ran = Ran(ask(f"unsafe fault={step}:{kind}"), timeout_s=limit_for(kind))
        assert ran.run.answer.text == PAPER.refusal
        assert ran.run.answer.finish_reason == "content_filter"
        assert ran.run.trace.failed_step.value == step
        with pytest.raises(ECSOStepError) as step_raised:
            raising = ECSOConfig.from_preset("paper", on_error="raise")
            Ran(ask(f"unsafe fault={step}:{kind}"), raising, timeout_s=limit_for(kind))
        assert CANARY not in str(step_raised.value)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("preset", ["paper", "hardened"])
def test_answers_one_after_the_other_are_one_begun_answer(preset):
    turns = [("user", "How?"), ("assistant", "Well."), ("user", "Go on.")]
    turns += [("assistant", "the canary has"), ("assistant", "left its")]
    chat = Chat.of_messages([{"role": role, "content": text} for role, text in turns])
    assert (chat.begun, chat.earlier_answers) == ("the canary has left its", ("Well.",))
    config = ECSOConfig.from_preset(preset, judge_text_only=True)
    protocol = Protocol(config, chat.query, has_image=False, begun=chat.begun)
    protocol.receive(StepReply((" cage",)))
    assert any(CANARY in prompt.partition("RESPONSE")[2] for prompt in protocol.ask.prompts)


@pytest.mark.parametrize("last", ["user", "assistant"])
def test_an_answer_taken_in_slices_is_judged_as_a_whole(last):
    """What was said in earlier turns, or in the turn that goes on, stands before the verdict."""
    slices = ["Of course: the can", "ary has left"]
    turns = [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": slices[0]}]
    turns += [{"role": "user", "content": "Go on."}] if last == "user" else []
    chat = Chat.of_messages(turns)
    judged = []

    class Slices:
        async def traits(self, anew=False):
            return ServerTraits(gives_logprobs=False)

        async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
            step = step_of(str(messages))
            if step == "detect":
                judged.append(messages[-1]["content"])
            text = {"direct": slices[1], "detect": "No."}.get(step, "x")
            return Completion(text, 1, 1, "stop", False, None, 1.0)

    async def all_steps():
        async for _ in EndpointRun(Slices(), chat, ECSOConfig.from_preset("hardened")):
            pass

    asyncio.run(all_steps())
    whole = "canary has left" if last == "assistant" else "can ary has left"
    assert any(whole in prompt.partition("RESPONSE")[2] for prompt in judged), judged


def test_a_kept_draft_is_in_the_trace_alone():
    ran = Ran(ask(), ECSOConfig.from_preset("paper", keep_draft=True))
    assert CANARY in ran.run.trace.draft
    assert CANARY not in repr(ran.run.trace) + repr(ran.events)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": []},
        {"content": [{"top_logprobs": "yes"}]},
        {"content": [{"top_logprobs": [{"token": 3, "logprob": 0}]}]},
        {"content": [{"top_logprobs": [{"token": "Maybe", "logprob": -0.1}]}]},
        {"content": [{"top_logprobs": [{"token": "yes", "logprob": 1e9}]}]},
    ],
)
def test_logprobs_that_say_nothing_are_no_probability(logprobs):
    assert chance_unsafe(logprobs) is None


def test_all_ways_to_write_yes_and_no_count():
    words = {"▁Yes": -1.0, "ĠYES": -2.0, "yes": -3.0, "No": -1.5, "Never": -0.1}
    tops = [{"token": token, "logprob": value} for token, value in words.items()]
    assert 0.6 < chance_unsafe({"content": [{"top_logprobs": tops}]}) < 0.75


def test_all_who_wait_for_a_server_that_is_silent_wait_no_longer_than_one():
    class Silent(httpx2.AsyncBaseTransport):
        asked = 0

        async def handle_async_request(self, request):
            self.asked += 1
            await asyncio.sleep(3600)

    async def probe_all():
        silent = Silent()
        server = OpenAIServer("http://u/v1", "m", timeout_s=0.1, retries=0, transport=silent)
        failures = await asyncio.gather(
            *(server.traits() for _ in range(50)), return_exceptions=True
        )
        return silent.asked, failures

    asked, failures = asyncio.run(probe_all())
    assert asked == 1
    assert {failure.fault for failure in failures} == {Fault.TIMEOUT}


@pytest.mark.parametrize(
    ("said", "can_run_on"),
    [
        ({}, False),
        ({"temperature": 1.0, "top_p": 0.5, "frequency_penalty": 0.7}, False),
        ({"temperature": 1.5}, True),
        ({"frequency_penalty": -0.5}, True),
        ({"presence_penalty": -2}, True),
    ],
)
def test_sampling_that_keeps_an_answer_from_ending_has_it_judged_in_short_windows(said, can_run_on):
    ecso_config = PAPER.updated(
        {"window_chars": 20, "window_overlap_chars": 0, "shortest_window_chars": 16}
    )
    ran = Ran(ask("What is this?"), ecso_config, Sampling(**said))
    windows = -(-len(GOOD_ANSWER) // 20)
    questions = sum(step_of(str(call["messages"])) == "detect" for call in ran.calls)
    assert questions > windows if can_run_on else questions == windows


class InterruptedServer:
    """Answers harmfully, then is interrupted at one of the calls."""

    def __init__(self, call, interrupt):
        self._call = call
        self._interrupt = interrupt
        self._calls = 0

    async def traits(self, anew=False):
        return ServerTraits(gives_logprobs=False)

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        self._calls += 1
        await asyncio.sleep(0)
        if self._calls == self._call:
            raise self._interrupt
        text = {1: CANARY, 2: "yes"}.get(self._calls, "a kite")
        return Completion(text, 1, 1, "stop", False, None, 1.0)


def in_a_loop_of_its_own(task):
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(task)
    finally:
        loop.close()


@pytest.mark.parametrize("runner", [asyncio.run, in_a_loop_of_its_own])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("call", [2, 3, 4], ids=["detect", "caption", "safe"])
def test_an_interrupt_in_a_step_comes_through_and_holds_nothing_of_the_draft(
    call, interrupt, runner, caplog
):
    run = EndpointRun(InterruptedServer(call, interrupt()), ask(), PAPER)

    async def all_steps():
        async for _ in run:
            pass

    with pytest.raises(interrupt) as caught:
        runner(all_steps())
    assert not find_draft({"error": caught.value, "run": run}, Draft((CANARY,), ()))
    assert not run.has_answer
    assert not caplog.records
