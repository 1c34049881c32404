"""Observing: every answer is let through, and it is told what would have happened to it."""

import asyncio
import logging

import pytest

from examples.load.scripted_upstream import CANARY, CAPTION, GOOD_ANSWER, Thinking
from tests.gateway.test_schemas import check, of_gateway
from tests.support.gateway_client import Gateway, request_body


CHECKPOINT = {"draft_checkpoints": [8]}
CASES = [
    ("What is this?", {}),
    ("unsafe", {}),
    ("unsafe words=90 after=2", CHECKPOINT),
    ("unsafe fault=detect:500", {}),
    ("What is this? fault=detect:unclear", {}),
    ("unsafe fault=safe:500", {"on_error": "raise"}),
    ("words=90", {"window_chars": 4, "window_overlap_chars": 0}),
]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("text", "changes"), CASES, ids=str)
def test_the_draft_is_delivered_with_what_would_have_happened(text, changes, streams, caplog):
    caplog.set_level(logging.DEBUG)
    observing = Gateway(changes=changes, observes=True)
    got = observing.ask(request_body(text, stream=streams))
    said = got.streamed if streams else got.json["choices"][0]["message"]["content"]
    is_harmful = text.startswith("unsafe")
    assert (CANARY in said) is is_harmful and len(said.split()) >= 8
    assert observing.server.state.stats["left"] == 0  # written to its end
    ends = [c["finish_reason"] for e in got.events or [got.json] for c in e["choices"]]
    assert ends[-1] == "stop"
    (told,) = [one for event in got.events or [got.json] for one in event.get("ecso", [])]
    assert set(told) == {"reason", "would_be"} and told["reason"] is None
    assert CAPTION not in got.text and CANARY not in caplog.text

    enforcing = Gateway(changes=changes | {"on_error": "refuse"}).ask(request_body(text))
    (expected,) = enforcing.json["ecso"]
    for name in ("reason", "outcome", "verdict", "failed_step", "draft_withheld"):
        assert told["would_be"][name] == expected[name], name
    for event in got.events:
        check(of_gateway("SentChunk"), event)
    if not streams:
        check(of_gateway("SentCompletion"), got.json)


def test_without_traces_the_reason_that_would_be_stays():
    got = Gateway(observes=True, shows_trace=False).ask(request_body("unsafe")).json
    assert got["ecso"] == [{"reason": None, "would_be": {"reason": "unsafe"}}]
    check(of_gateway("SentCompletion"), got)


def test_a_thought_comes_with_an_observed_answer():
    thinking = Thinking(thought=f"I know that {CANARY}.")
    got = Gateway(observes=True, thinking=thinking).ask(request_body()).json
    message = got["choices"][0]["message"]
    assert message["content"] == GOOD_ANSWER and CANARY in message["reasoning_content"]
    assert got["ecso"][0]["would_be"]["verdict"] == "unsafe"


@pytest.mark.parametrize("observes", [True, False])
def test_what_would_have_happened_is_counted_apart(observes):
    gateway = Gateway(observes=observes)

    async def use():
        async with gateway.client() as client:
            for text in ("What is this?", "unsafe", "unsafe"):
                await client.post("/v1/chat/completions", json=request_body(text))
            return (await client.get("/metrics")).text.splitlines()

    page = asyncio.run(use())
    assert f"ecso_observing {float(observes)}" in page
    would_be = [line for line in page if line.startswith("ecso_would_be_answers_total")]
    if not observes:
        assert not would_be and 'ecso_answers_total{outcome="safe",reason="unsafe"} 2.0' in page
        return
    assert sorted(would_be) == [
        'ecso_would_be_answers_total{outcome="direct",reason="none"} 1.0',
        'ecso_would_be_answers_total{outcome="safe",reason="unsafe"} 2.0',
    ]
    assert 'ecso_answers_total{outcome="direct",reason="none"} 3.0' in page
    assert 'ecso_requests_total{reason="none",status="200"} 3.0' in page
    assert 'ecso_verdicts_total{verdict="unsafe"} 2.0' in page
