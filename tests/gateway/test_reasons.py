"""Every answer, error and refusal says why: unsafe, not judged, or the model server's failure."""

import asyncio
import json

import httpx2
import pytest

from examples.load.scripted_upstream import CANARY
from modeling_ecso.gateway.errors import _CODES, _OF_ERRORS
from tests.support.gateway_client import Gateway, request_body


def reason_in_metrics(gateway, body):
    """Ask, and return the response, the reasons of its choices and what was counted."""

    async def ask():
        async with gateway.client() as client:
            got = await client.post("/v1/chat/completions", json=body)
            page = (await client.get("/metrics")).text
        return got, [line for line in page.splitlines() if line.startswith("ecso_requests_total")]

    got, lines = asyncio.run(ask())
    return got, lines


CASES = [
    ("What is this?", {}, None),
    ("unsafe", {}, "unsafe"),
    ("What is this? fault=detect:unclear", {}, "unjudged"),
    ("unsafe fault=caption:500", {}, "model_server"),
    ("What is this? fault=detect:500", {}, "model_server"),
    ("What is this? fault=detect:timeout", {}, "model_server"),
    ("What is this? fault=detect:too_long", {}, "unjudged"),
    ("What is this?", {"window_chars": 4, "window_overlap_chars": 1}, "unjudged"),
]


@pytest.mark.parametrize(("text", "changes", "reason"), CASES, ids=lambda value: str(value)[:40])
def test_an_answer_says_why_it_is_not_the_models_own(text, changes, reason):
    from modeling_ecso.gateway.config import Limits

    gateway = Gateway(changes=changes, timeout_s=0.3, limits=Limits(windows=6))
    got, lines = reason_in_metrics(gateway, request_body(text))
    assert got.status_code == 200
    assert [one["reason"] for one in got.json()["ecso"]] == [reason]
    label = f'ecso_requests_total{{reason="{reason or "none"}",status="200"}} 1.0'
    assert label in lines
    streamed = gateway.ask(request_body(text, stream=True))
    assert [one["reason"] for e in streamed.events for one in e.get("ecso", [])] == [reason]


@pytest.mark.parametrize(
    ("body", "changes", "reason"),
    [
        (request_body("fault=direct:500"), {}, "model_server"),
        (request_body("fault=direct:timeout"), {}, "model_server"),
        (request_body("fault=direct:too_long"), {}, "model_server"),
        (request_body("unsafe fault=caption:500"), {"on_error": "raise"}, "model_server"),
        (request_body("fault=detect:too_long"), {"on_error": "raise"}, "unjudged"),
        (request_body(n=0), {}, "request"),
        (b"{", {}, "request"),
    ],
    ids=str,
)
def test_an_error_says_whose_matter_it_is(body, changes, reason):
    gateway = Gateway(changes=changes, timeout_s=0.3)
    got = gateway.ask(body)
    assert got.status >= 400 and got.json["ecso"] == {"reason": reason}
    assert CANARY not in got.text


def test_each_code_has_a_line_and_each_error_a_code():
    assert {code for code, _ in _OF_ERRORS.values()} <= set(_CODES)
    statuses = {code: sent.status for code, sent in _CODES.items()}
    assert all(400 <= status < 600 for status in statuses.values())


def test_a_request_that_finds_no_room_is_the_gateways_matter():
    from modeling_ecso.gateway.config import Limits

    gateway = Gateway(limits=Limits(concurrent_requests=1))
    slow = request_body("fault=direct:slow")
    refused = next(one for one in gateway.ask_all([slow, slow]) if one.status == 429)
    assert refused.json["ecso"] == {"reason": "gateway"}


def test_the_key_of_the_model_server_is_not_the_clients_matter():
    denied = httpx2.MockTransport(lambda request: httpx2.Response(401, json={"error": CANARY}))
    got = Gateway(transport=denied).ask(request_body())
    assert (got.status, got.json["ecso"]["reason"]) == (502, "model_server")
    assert json.loads(got.text)["error"]["code"] == "model_server_status"
