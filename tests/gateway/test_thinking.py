"""A thinking model behind the gateway, as clients see it."""

import pytest

from examples.load.scripted_upstream import CANARY, GOOD_ANSWER, SAFE_ANSWER, THOUGHT, Thinking
from tests.support.gateway_client import Gateway, request_body


@pytest.mark.parametrize("preset", ["paper", "hardened"])
@pytest.mark.parametrize("switch", ["enable_thinking", None])
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_the_thought_is_a_field_of_an_answer_that_passed(preset, switch, field):
    gateway = Gateway(preset, thinking=Thinking(field, switch))
    (choice,) = gateway.ask(request_body()).json["choices"]
    assert choice["message"] == {"role": "assistant", "content": GOOD_ANSWER, field: THOUGHT}
    got = gateway.ask(request_body(stream=True))
    deltas = [choice["delta"] for event in got.events for choice in event["choices"]]
    assert "".join(delta.get(field, "") for delta in deltas) == THOUGHT
    assert got.streamed == GOOD_ANSWER
    names = [next(iter(delta)) for delta in deltas if delta and "role" not in delta]
    assert names == sorted(names, key=[field, "content"].index)  # first the thought


@pytest.mark.parametrize("streams", [False, True])
def test_a_thought_goes_with_the_answer_that_is_withheld(streams):
    thinking = Thinking(thought="They ask for harm, says " + CANARY)
    got = Gateway(thinking=thinking).ask(request_body("unsafe", stream=streams))
    assert SAFE_ANSWER in (got.streamed if streams else got.text)
    assert CANARY not in got.text and "reasoning" not in got.text and "They ask" not in got.text


def test_a_client_may_say_how_much_to_think():
    gateway = Gateway(thinking=Thinking())
    fields = {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low"}
    got = gateway.ask(request_body(**fields))
    assert got.json["choices"][0]["message"] == {"role": "assistant", "content": GOOD_ANSWER}
    assert gateway.calls[-2]["reasoning_effort"] == "low"
    for wrong in ({"chat_template_kwargs": {"tools": [1]}}, {"reasoning_effort": "much"}):
        assert gateway.ask(request_body(**wrong)).status == 400


def test_a_server_that_never_answers_for_its_thoughts_says_so():
    gateway = Gateway(thinking=Thinking(switch=None, thought="So. " * 9000))
    got = gateway.ask(request_body(max_tokens=5))
    assert got.json["ecso"][0]["reason"] == "unjudged"
    assert got.json["choices"][0]["finish_reason"] == "content_filter"
