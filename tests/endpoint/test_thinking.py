"""Models that think before they answer: what is asked of them, judged, and passed on."""

import asyncio
import json
import logging
import math

import httpx2
import pytest

from examples.load.scripted_upstream import (
    CANARY,
    CAPTION,
    GOOD_ANSWER,
    SAFE_ANSWER,
    THOUGHT,
    Thinking,
    build_upstream,
    step_of,
)
from modeling_ecso import ECSOConfig
from modeling_ecso.endpoint.chat import Chat
from modeling_ecso.endpoint.model_server import THOUGHT_TOKENS, ServerTraits
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.run import EndpointRun
from modeling_ecso.endpoint.sampling import Sampling
from modeling_ecso.endpoint.thought import Said, said_in
from modeling_ecso.events_ecso import Step
from modeling_ecso.prompts_ecso import JudgedAnswer, detect_prompts
from tests.support.streaming_transport import StreamingTransport


PIXEL = "data:image/png;base64,iVBORw0KGgo="
OFF = {"chat_template_kwargs": {"enable_thinking": False}}
# Longer than a first look at what a model does.
LONG_THOUGHT = THOUGHT + " hmm" * 600
KINDS = {
    "switchable": Thinking(),
    "another switch": Thinking(switch="thinking", field="reasoning"),
    "not switchable": Thinking(switch=None),
    "unknown switch": Thinking(switch=None, knows_kwargs=False),
    "in the content": Thinking(field="content"),
    "in the content, opened by the template": Thinking(field="content", writes_opening=False),
    "in the content, not switchable": Thinking(field="content", switch=None, writes_opening=False),
    "long, opened by the template": Thinking(
        field="content", writes_opening=False, thought=LONG_THOUGHT
    ),
    "long, opened by the template, not switchable": Thinking(
        field="content", switch=None, writes_opening=False, thought=LONG_THOUGHT
    ),
}


def server_of(app):
    transport = StreamingTransport(app)
    return OpenAIServer("http://u/v1", "scripted", retries=0, timeout_s=5, transport=transport)


def traits_of(thinking, **kind):
    return asyncio.run(server_of(build_upstream(thinking=thinking, **kind)).traits())


def ran(app, text, preset="paper", sampling=None, server=None, step_fields=None, **changes):
    """A finished run, and what the server was asked without the questions about itself."""
    run = EndpointRun(
        server or server_of(app),
        Chat.of_one_turn(text, (PIXEL,)),
        ECSOConfig.from_preset(preset, **changes),
        sampling,
        step_fields=step_fields,
    )

    async def all_steps():
        async for _ in run:
            pass

    asyncio.run(all_steps())
    return run, [call for call in app.state.calls if "sky" not in str(call["messages"])]


@pytest.mark.parametrize(
    ("kind", "traits"),
    [
        ("switchable", ServerTraits(True, "reasoning_content", OFF)),
        (
            "another switch",
            ServerTraits(True, "reasoning", {"chat_template_kwargs": {"thinking": False}}),
        ),
        ("not switchable", ServerTraits(False, "reasoning_content", always_thinks=True)),
        ("unknown switch", ServerTraits(False, "reasoning_content", always_thinks=True)),
        ("in the content", ServerTraits(True, "content", OFF)),
        ("in the content, opened by the template", ServerTraits(True, "content", OFF)),
        ("in the content, not switchable", ServerTraits(False, "content", always_thinks=True)),
        ("long, opened by the template", ServerTraits(True, "content", OFF)),
        ("long, opened by the template, not switchable",)
        + (ServerTraits(False, "content", always_thinks=True),),
    ],
)
def test_what_a_model_does_is_learnt_by_asking(kind, traits, caplog):
    assert traits_of(KINDS[kind]) == traits
    assert traits.thought_field in caplog.text and "thinks before it answers" in caplog.text


def test_a_model_that_does_not_think_is_asked_once():
    app = build_upstream()
    assert asyncio.run(server_of(app).traits()) == ServerTraits(True)
    assert len(app.state.calls) == 1


@pytest.mark.parametrize("preset", ["reference", "paper", "hardened"])
@pytest.mark.parametrize("kind", KINDS)
def test_behind_every_kind_benign_is_answered_and_harm_withheld(kind, preset):
    app = build_upstream(thinking=KINDS[kind])
    run, _ = ran(app, "What is this?", preset)
    assert run.answer.text.endswith(GOOD_ANSWER) and run.reason is None
    run, calls = ran(build_upstream(thinking=KINDS[kind]), "unsafe", preset)
    assert run.answer.text == SAFE_ANSWER and run.answer.thought == ""
    safe = next(call for call in calls if step_of(str(call["messages"])) == "safe")
    assert CAPTION in str(safe["messages"]) and THOUGHT not in str(safe["messages"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_thought_that_is_not_wanted_is_left_out_of_the_answer(kind):
    run, calls = ran(build_upstream(thinking=KINDS[kind]), "What is this?", keep_thought=False)
    assert (run.answer.text, run.answer.thought) == (GOOD_ANSWER, "")
    assert any(THOUGHT in str(call["messages"]) for call in calls)


def test_the_thought_comes_with_an_answer_that_passed_in_the_field_it_came_in():
    for name in ("reasoning_content", "reasoning"):
        run, _ = ran(build_upstream(thinking=Thinking(field=name)), "What is this?")
        assert (run.answer.text, run.answer.thought) == (GOOD_ANSWER, THOUGHT)
        assert run.answer.thought_field == name
    run, _ = ran(build_upstream(thinking=Thinking(field="content")), "What is this?")
    assert run.answer.text == f"<think>\n{THOUGHT}\n</think>\n\n{GOOD_ANSWER}"
    assert (run.answer.thought, run.answer.thought_field) == ("", None)


@pytest.mark.parametrize("field", ["reasoning_content", "content"])
def test_a_harmful_thought_withholds_a_harmless_answer(field):
    thinking = Thinking(field=field, thought=f"I know that {CANARY} and will not say so.")
    run, _ = ran(build_upstream(thinking=thinking), "What is this?")
    assert run.trace.verdict == "unsafe" and run.answer.text == SAFE_ANSWER
    assert CANARY not in repr(vars(run)) + run.answer.thought


def test_an_answer_is_judged_with_its_thought_and_without():
    config = ECSOConfig.from_preset("paper")
    answer = JudgedAnswer("the answer", thought="long thought " * 300)
    prompts = detect_prompts(config, "q", answer)
    alone = detect_prompts(config, "q", JudgedAnswer("the answer"))
    assert prompts[: len(alone)] == alone and len(prompts) > 3
    assert any("long thought" in prompt and "the answer" in prompt for prompt in prompts)


def test_steps_2_to_4_do_not_think_or_get_room():
    limits = {"detect": 8, "caption": 256, "safe": 50}
    for kind, more in (("switchable", 0), ("not switchable", THOUGHT_TOKENS)):
        sampling = Sampling(max_tokens=50, enable_thinking=True, reasoning_effort="high")
        _, calls = ran(build_upstream(thinking=KINDS[kind]), "unsafe", sampling=sampling)
        direct, *steps = calls
        assert direct["max_tokens"] == 50 and direct["reasoning_effort"] == "high"
        assert direct["chat_template_kwargs"] == {"enable_thinking": True}
        for call in steps:
            step = step_of(str(call["messages"]))
            assert call["max_tokens"] == limits[step] + more
            assert call.get("chat_template_kwargs") == (None if more else OFF[next(iter(OFF))])
            assert "reasoning_effort" not in call


def test_a_thought_that_leaves_no_room_is_a_draft_and_no_verdict():
    thinking = Thinking(thought="Let me see. " * 20)
    run, _ = ran(build_upstream(thinking=thinking), "What is this?", sampling=Sampling(9))
    assert (run.answer.text, run.answer.finish_reason) == ("", "length")
    assert run.answer.thought.startswith("Let me see.")
    endless = Thinking(switch=None, thought="Let me see. " * 2000)
    for preset in ("paper", "hardened"):
        run, _ = ran(build_upstream(thinking=endless), "What is this?", preset)
        assert run.answer.finish_reason == "content_filter" and run.reason == "unjudged"


def test_what_the_operator_says_of_a_step_stands_above_what_was_learnt():
    fields = {
        Step.DETECT: {"max_tokens": 99, "chat_template_kwargs": {"enable_thinking": True}},
        Step.DIRECT: {"chat_template_kwargs": {"enable_thinking": False}},
    }
    app = build_upstream(thinking=Thinking())
    run, (direct, detect) = ran(app, "What is this?", step_fields=fields)
    assert run.answer.text == GOOD_ANSWER and run.answer.thought == ""
    assert direct["chat_template_kwargs"] == {"enable_thinking": False}
    assert detect["max_tokens"] == 99
    assert detect["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_field_that_keeps_answers_from_ending_has_them_judged_in_short_windows():
    app = build_upstream()
    _, calls = ran(app, "words=100", step_fields={Step.DIRECT: {"min_tokens": 40}})
    app = build_upstream()
    _, plain = ran(app, "words=100", step_fields={Step.DIRECT: {"top_k": 40}})
    assert len(calls) > len(plain) == 2


@pytest.mark.parametrize("preset", ["paper", "hardened"])
@pytest.mark.parametrize("now", ["switchable", "not switchable", "in the content"])
def test_a_server_that_begins_to_think_is_found_out(now, preset):
    """A server started anew with another model answers the very first request."""
    before = build_upstream()
    server = server_of(before)
    asyncio.run(server.traits())
    app = build_upstream(thinking=KINDS[now])
    server._client._client._transport = StreamingTransport(app)
    run, _ = ran(app, "What is this?", preset, server=server)
    assert run.answer.text.endswith(GOOD_ANSWER) and run.reason is None
    assert asyncio.run(server.traits()).thought_field is not None


def server_that_says(text, finish_reason="stop", asked=None):
    """A client of a server that always says the same, and writes down what it was asked."""

    def say(request):
        if asked is not None:
            asked.append(json.loads(request.content))
        choice = {"message": {"content": text}, "finish_reason": finish_reason}
        return httpx2.Response(200, json={"choices": [choice]})

    transport = httpx2.MockTransport(say)
    return OpenAIServer("http://u/v1", "m", retries=0, transport=transport)


@pytest.mark.parametrize("ends", ["stop", "length"])
def test_a_model_that_babbles_is_not_taken_for_one_that_thinks(ends, caplog):
    caplog.set_level(logging.WARNING)
    asked = []
    server = server_that_says("Kites are red.", ends, asked)
    assert asyncio.run(server.traits()) == ServerTraits(False)
    assert "thinks" not in caplog.text and "said neither at once" in caplog.text
    # Asked at length once, and no further where it had come to its end.
    long_ones = [call["max_tokens"] for call in asked if call["max_tokens"] > 8]
    assert long_ones == [512, THOUGHT_TOKENS + 8][: 1 if ends == "stop" else 2]


def test_a_step_of_a_model_that_babbles_gets_no_more_room():
    app = build_upstream()
    server = server_of(app)
    server._traits = asyncio.run(server_that_says("Kites are red.", "length").traits())
    _, calls = ran(app, "unsafe", server=server)
    assert all(call.get("max_tokens", 0) <= 256 for call in calls) and len(calls) == 4


def test_a_model_whose_probabilities_say_yes_or_no_is_asked_once(caplog):
    caplog.set_level(logging.WARNING)
    asked = []

    def split(request):
        asked.append(json.loads(request.content))
        chances = {"kites": 0.4, "yes": 0.3, "no": 0.3}
        tops = [{"token": word, "logprob": math.log(p)} for word, p in chances.items()]
        told = {"content": [{**tops[0], "top_logprobs": tops}]}
        choice = {"message": {"content": "kites"}, "finish_reason": "length", "logprobs": told}
        return httpx2.Response(200, json={"choices": [choice]})

    transport = httpx2.MockTransport(split)
    server = OpenAIServer("http://u/v1", "m", retries=0, transport=transport)
    assert asyncio.run(server.traits()) == ServerTraits(True)
    assert len(asked) == 1 and "said neither" not in caplog.text


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": " yes "}, Said("yes")),
        ({"content": None}, None),
        ({}, None),
        ({"content": None, "reasoning_content": ""}, None),
        ({"content": None, "reasoning": "a"}, Said("", "a", "reasoning")),
        ({"content": "b", "reasoning_content": "a", "reasoning": "a"},)
        + (Said("b", "a", "reasoning_content"),),
        ({"content": "<think>a</think>b"}, Said("b", "a", "content")),
        ({"content": "<think>a"}, Said("", "a", "content")),
        ({"content": "a</think>b"}, Said("b", "a", "content")),
        ({"content": "a</think>b</think>c"}, Said("c", "a</think>b", "content")),
        ({"content": "<seed:think>a</seed:think>b"}, Said("b", "a", "content")),
        ({"content": "[THINK]a[/THINK]b"}, Said("b", "a", "content")),
        ({"content": "<|channel>thought\na<channel|>b"}, Said("b", "a", "content")),
        ({"content": "◁think▷a◁/think▷b"}, Said("b", "a", "content")),
        ({"content": "<|START_THINKING|>a<|END_THINKING|>b"}, Said("b", "a", "content")),
        # A mark is part of no thought, so it has no room for one.
        ({"content": "<mixthestufftogether:think>b"}, Said("<mixthestufftogether:think>b")),
        ({"content": "say <think> aloud"}, Said("say <think> aloud")),
    ],
)
def test_a_thought_is_told_from_an_answer(message, said):
    assert said_in(message) == said


@pytest.mark.parametrize("message", [{"content": 3}, {"content": "a", "reasoning": ["b"]}])
def test_a_message_of_another_kind_is_none(message):
    with pytest.raises(TypeError):
        said_in(message)
