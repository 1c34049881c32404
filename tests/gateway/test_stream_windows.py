"""Streams that flow: checked text as it comes, and the safe answer in place of what was shown."""

import asyncio
import json

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.load.scripted_upstream import CANARY, SAFE_ANSWER, THOUGHT, Thinking
from tests.gateway.test_gateway import with_client
from tests.gateway.test_schemas import check, of_gateway
from tests.support.gateway_client import Gateway, Got, request_body
from tests.support.streaming_transport import StreamingTransport


WINDOWS = {"stream": "windows"}
REPLACE = {"type": "replace", "index": 0}
# A word takes long enough for a verdict to come before the next.
AT_EASE = {"word_seconds": 0.001}
BENIGN = "kite " * 200


def flowing(preset="paper", changes=None, **kind):
    return Gateway(preset, changes={**WINDOWS, **(changes or {})}, **AT_EASE, **kind)


def arriving(gateway, body, until):
    """What a client has read of a stream when it says something, with which the client leaves."""

    async def read():
        transport, got, said = StreamingTransport(gateway.app()), "", ""
        async with openai.DefaultAsyncHttpxClient(transport=transport) as client:
            url = "http://gateway/v1/chat/completions"
            async with client.stream("POST", url, json=body | {"stream": True}) as response:
                async for piece in response.aiter_text():
                    got += piece
                    said = Got(200, got[: got.rfind("\n\n") + 1], {}).streamed
                    if until in said:
                        break
        return said

    return asyncio.run(asyncio.wait_for(read(), timeout=30))


@pytest.mark.parametrize("preset", ["paper", "hardened"])
def test_checked_text_is_there_long_before_the_answer_is(preset):
    gateway = flowing(preset)
    said = arriving(gateway, request_body("words=200"), until="kite kite")
    assert "kite kite" in said and gateway.server.state.stats["words"] < 70  # of 200
    assert gateway.server.state.stats["left"] == 1  # the client has left


@pytest.mark.parametrize("preset", ["paper", "hardened"])
def test_the_openai_client_reads_what_the_plain_answer_says(preset):
    async def use(client):
        plain = await client.chat.completions.create(**request_body("words=200"))
        stream = await client.chat.completions.create(**request_body("words=200"), stream=True)
        return plain, [chunk async for chunk in stream]

    plain, chunks = with_client(flowing(preset), use)
    said = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(said) == plain.choices[0].message.content == BENIGN.strip()
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].ecso[0]["outcome"] == "direct"
    assert not any("ecso_event" in chunk.model_extra for chunk in chunks)


def test_the_openai_client_is_told_what_to_replace():
    async def use(client):
        body = request_body("unsafe words=200 after=120")
        stream = await client.chat.completions.create(**body, stream=True)
        text, replaced = "", []
        async for chunk in stream:
            if event := chunk.model_extra.get("ecso_event"):
                replaced.append((event, text))
                text = ""
            text += chunk.choices[0].delta.content or ""
        return text, replaced, chunk

    text, replaced, last = with_client(flowing(), use)
    ((event, shown),) = replaced
    assert event == REPLACE and shown.startswith("kite kite") and CANARY not in shown
    assert text == SAFE_ANSWER and last.choices[0].finish_reason == "content_filter"
    assert last.ecso[0]["reason"] == "unsafe"


def test_what_was_harmful_from_the_beginning_is_never_shown_and_replaces_nothing():
    got = flowing().ask(request_body("unsafe words=200 after=2", stream=True))
    assert got.replayed == {0: SAFE_ANSWER} and "ecso_event" not in got.text
    assert "kite kite" not in got.text
    assert got.events[-1]["choices"][0]["finish_reason"] == "stop"


def test_by_default_nothing_is_shown_before_the_verdict():
    gateway = Gateway(**AT_EASE)
    arriving(gateway, request_body("words=200"), until="kite")
    assert gateway.server.state.stats["words"] == 200


def test_each_choice_is_shown_and_replaced_on_its_own():
    text = "unsafe words=200 after=120 seed=5"
    got = flowing().ask(request_body(text, n=3, seed=4, stream=True))
    assert got.replayed == {0: BENIGN.strip(), 1: SAFE_ANSWER, 2: BENIGN.strip()}
    assert [e["ecso_event"] for e in got.events if "ecso_event" in e] == [REPLACE | {"index": 1}]
    ends = {c["index"]: c["finish_reason"] for e in got.events for c in e["choices"]}
    assert ends == {0: "stop", 1: "content_filter", 2: "stop"}
    (traces,) = [event["ecso"] for event in got.events if "ecso" in event]
    assert [trace["outcome"] for trace in traces] == ["direct", "safe", "direct"]
    assert CANARY not in got.text


@pytest.mark.parametrize("text", ["words=200", "unsafe words=200 after=120"])
@pytest.mark.parametrize("field", ["reasoning_content", "content"])
def test_a_thought_is_held_until_the_answer_has_passed(text, field):
    gateway = flowing(thinking=Thinking(field))
    got = gateway.ask(request_body(text, stream=True))
    deltas = [choice["delta"] for event in got.events for choice in event["choices"]]
    if "unsafe" in text:
        assert got.streamed == SAFE_ANSWER and "Let me" not in got.text
        return
    assert THOUGHT in "".join(delta.get(field, "") for delta in deltas)
    assert got.streamed.endswith(BENIGN.strip())
    if field != "content":
        names = [next(iter(delta), "") for delta in deltas]
        first = names.index(field)
        assert "kite kite" in str(deltas[:first]) and "kite kite" in str(deltas[first:])


@pytest.mark.parametrize("field", ["reasoning_content", "content"])
def test_an_answer_flows_where_the_client_switches_thinking_off(field):
    gateway = flowing(thinking=Thinking(field, writes_opening=False))
    off = {"chat_template_kwargs": {"enable_thinking": False}}
    said = arriving(gateway, request_body("words=200", **off), until="kite kite")
    assert "kite kite" in said and gateway.server.state.stats["words"] < 70  # of 200
    got = gateway.ask(request_body("unsafe words=200 after=120", stream=True, **off))
    assert got.streamed == SAFE_ANSWER and REPLACE in [e.get("ecso_event") for e in got.events]


@pytest.mark.parametrize("switch", ["thinking", None])
def test_nothing_flows_where_that_is_not_what_switches_it_off(switch):
    gateway = flowing(thinking=Thinking("content", switch, writes_opening=False))
    body = request_body(
        "unsafe words=200 after=120", chat_template_kwargs={"enable_thinking": False}
    )
    got = gateway.ask(body | {"stream": True})
    assert got.streamed == SAFE_ANSWER and "ecso_event" not in got.text
    assert "kite kite" not in got.text and "Let me" not in got.text


@pytest.mark.parametrize("kind", ["cut", "malformed", "error", "unfinished"])
def test_a_stream_that_breaks_ends_in_an_error_behind_what_was_checked(kind):
    got = flowing().ask(request_body(f"words=200 fault=direct:{kind}", stream=True))
    assert got.status == 200 and got.streamed.startswith("kite kite")
    assert got.events[-1]["ecso"] == {"reason": "model_server"}
    assert "[DONE]" not in got.text and "ecso_event" not in got.text and CANARY not in got.text


def test_where_failures_raise_what_was_shown_is_void_before_the_error():
    body = request_body("unsafe words=200 after=120 fault=caption:500", stream=True)
    got = flowing(changes={"on_error": "raise"}).ask(body)
    assert got.streamed == "" and got.events[-2]["ecso_event"] == REPLACE
    assert got.events[-1]["error"]["code"] == "ecso_step_failed"


def test_a_stream_that_waits_between_two_checkpoints_is_kept_open():
    gateway = flowing(keep_alive_s=0.01)
    got = gateway.ask(request_body("words=150", stream=True))
    first, last = got.text.index("kite"), got.text.rindex("kite")
    assert ": waiting" in got.text[first:last] and got.streamed == ("kite " * 150).strip()


def test_an_observed_stream_flows_at_once():
    gateway = Gateway(observes=True, **AT_EASE)
    said = arriving(gateway, request_body("unsafe words=200 after=2"), until=CANARY)
    assert CANARY in said and gateway.server.state.stats["words"] < 60
    whole = Gateway(observes=True, **AT_EASE).ask(
        request_body("unsafe words=200 after=2", stream=True)
    )
    assert CANARY in whole.streamed and "ecso_event" not in whole.text
    assert whole.events[-1]["ecso"][0]["would_be"]["outcome"] == "safe"


def test_replaced_streams_are_counted_and_chunks_are_as_published():
    gateway = flowing()

    async def use():
        async with gateway.client() as client:
            body = request_body("unsafe words=200 after=120", stream=True)
            said = (await client.post("/v1/chat/completions", json=body)).text
            return said, (await client.get("/metrics")).text

    said, page = asyncio.run(use())
    assert "ecso_replaced_streams_total 1.0" in page.splitlines()
    events = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: {")]
    assert sum("ecso_event" in event for event in events) == 1
    for event in events:
        check(of_gateway("SentChunk"), event)


FAULTS = st.sampled_from(["", "", "500", "empty", "unclear", "timeout"])


# Each is a gateway of its own; what it does is tried without HTTP on many more.
@settings(max_examples=20)
@given(
    preset=st.sampled_from(["paper", "hardened"]),
    after=st.integers(0, 60),
    faults=st.fixed_dictionaries(
        {
            "direct": st.sampled_from(["", "", "", "cut", "error", "unfinished"]),
            "detect": FAULTS,
            "caption": FAULTS,
            "safe": FAULTS,
        }
    ),
    choices=st.integers(1, 3),
    on_error=st.sampled_from(["refuse", "raise"]),
)
def test_no_fault_lets_harm_into_a_stream_that_flows(preset, after, faults, choices, on_error):
    words = " ".join(f"fault={step}:{kind}" for step, kind in faults.items() if kind)
    changes = {**WINDOWS, "stream_checkpoint_tokens": 8, "on_error": on_error}
    gateway = Gateway(preset, changes=changes, timeout_s=0.05)
    body = request_body(f"unsafe words=60 after={after} {words}", n=choices, stream=True)
    got = gateway.ask(body)
    assert CANARY not in got.text and got.status in (200, 502, 503, 504)
    if got.status == 200 and "error" not in got.events[-1]:
        refusal, unclear = "I can't help with that.", "Perhaps."
        assert set(got.replayed.values()) <= {SAFE_ANSWER, refusal, unclear}
        assert "[DONE]" in got.text
