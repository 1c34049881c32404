"""The gateway as the OpenAI client sees it: answers, streams, choices, failures, metrics."""

import asyncio
import json
import logging

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.load.scripted_upstream import CANARY, CAPTION, GOOD_ANSWER, SAFE_ANSWER, step_of
from modeling_ecso.gateway.streamed_choice import pieces_of
from tests.support.gateway_client import IMAGE, Gateway, request_body
from tests.support.log_reader import LogReader


def with_client(gateway, use):
    """Run a coroutine function with the real client of the OpenAI API."""

    async def run():
        transport = httpx2.ASGITransport(gateway.app())
        async with openai.AsyncOpenAI(
            base_url="http://gateway/v1",
            api_key="none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(transport=transport),
        ) as client:
            return await use(client)

    return asyncio.run(run())


def test_the_openai_client_gets_a_protected_answer_and_the_trace():
    async def use(client):
        return await client.chat.completions.create(**request_body("What is unsafe here?"))

    completion = with_client(Gateway(), use)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == (SAFE_ANSWER, "stop")
    (trace,) = completion.ecso
    assert (trace["outcome"], trace["draft_withheld"]) == ("safe", True)
    assert [step["step"] for step in trace["steps"]] == ["direct", "detect", "caption", "safe"]
    answer_tokens = len(SAFE_ANSWER.split())
    assert completion.usage.completion_tokens == answer_tokens
    assert completion.usage.total_tokens == 100 + answer_tokens
    assert trace["model_server_tokens"]["prompt"] == 400
    assert CANARY not in completion.model_dump_json()


@pytest.mark.parametrize("text", ["What is this?", "What is unsafe here?"])
def test_a_stream_says_what_the_plain_answer_says(text):
    async def use(client):
        plain = await client.chat.completions.create(**request_body(text))
        stream = await client.chat.completions.create(
            **request_body(text), stream=True, stream_options={"include_usage": True}
        )
        return plain, [chunk async for chunk in stream]

    plain, chunks = with_client(Gateway(), use)
    *pieces, usage = chunks
    assert "".join(c.choices[0].delta.content or "" for c in pieces) == (
        plain.choices[0].message.content
    )
    assert pieces[0].choices[0].delta.role == "assistant"
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert pieces[-1].ecso[0]["outcome"] == plain.ecso[0]["outcome"]
    assert usage.choices == [] and usage.usage == plain.usage


def test_each_choice_is_judged_and_has_a_seed_of_its_own():
    gateway = Gateway()
    got = gateway.ask(request_body("What is unsafe here?", n=3, seed=7))
    assert [choice["index"] for choice in got.json["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in got.json["choices"]} == {SAFE_ANSWER}
    assert len(got.json["ecso"]) == 3
    steps = [step_of(str(call["messages"])) for call in gateway.calls]
    assert sorted(steps) == sorted(["direct", "detect", "caption", "safe"] * 3)
    direct = [c for c in gateway.calls if step_of(str(c["messages"])) == "direct"]
    assert sorted(call["seed"] for call in direct) == [7, 8, 9]
    streamed = gateway.ask(request_body("What is unsafe here?", n=3, stream=True))
    ends = [c for e in streamed.events for c in e["choices"] if c["finish_reason"]]
    assert [choice["index"] for choice in ends] == [0, 1, 2]


def test_the_image_opens_the_first_three_steps_and_is_not_in_the_last():
    gateway = Gateway()
    gateway.ask(request_body("What is unsafe here?"))
    *with_image, safe = gateway.calls
    assert len(with_image) == 3
    for call in with_image:
        assert call["messages"][0]["content"][0]["image_url"]["url"] == IMAGE
    assert "image_url" not in json.dumps(safe)


def test_the_trace_can_be_switched_off_and_the_reason_stays():
    gateway = Gateway(shows_trace=False)
    assert gateway.ask(request_body()).json["ecso"] == [{"reason": None}]
    assert gateway.ask(request_body("unsafe")).json["ecso"] == [{"reason": "unsafe"}]


def test_a_caption_is_in_no_answer_no_log_and_no_count(caplog):
    caplog.set_level(logging.INFO)
    gateway = Gateway()

    async def ask():
        async with gateway.client() as client:
            body = request_body("What is unsafe here?")
            said = [
                (await client.post("/v1/chat/completions", json=body | {"stream": streams})).text
                for streams in (False, True)
            ]
            return [*said, (await client.get("/metrics")).text]

    for text in (*asyncio.run(ask()), caplog.text):
        assert CAPTION not in text
    assert any(CAPTION in str(call["messages"]) for call in gateway.calls)
    kept = Gateway(changes={"keep_caption": True}).ask(request_body("unsafe"))
    assert kept.json["ecso"][0]["caption"] == CAPTION


def test_metrics_and_trace_count_the_tokens_of_every_question():
    gateway = Gateway(changes={"draft_checkpoints": [8, 16]}, word_seconds=0.001)

    async def ask():
        async with gateway.client() as client:
            body = request_body("words=100")
            got = (await client.post("/v1/chat/completions", json=body)).json()
            return got["ecso"][0], (await client.get("/metrics")).text

    trace, page = asyncio.run(ask())
    assert 'ecso_step_tokens_total{step="direct"} 100.0' in page
    assert 'ecso_step_tokens_total{step="detect"} 3.0' in page
    assert trace["model_server_tokens"] == {"prompt": 400, "completion": 103}


def test_a_waiting_stream_is_kept_open_by_comments_that_clients_skip():
    gateway = Gateway(keep_alive_s=0.1)
    got = gateway.ask(request_body("fault=direct:slow", stream=True))
    assert got.text.count(": waiting for the verdict\n\n") >= 2
    assert got.text.index(": waiting") < got.text.index("data:")
    assert got.streamed == GOOD_ANSWER and got.text.endswith("data: [DONE]\n\n")
    assert got.headers["content-type"].startswith("text/event-stream")


def test_a_failure_while_a_stream_waits_is_an_event_and_before_that_a_status():
    late = Gateway(keep_alive_s=0.05, timeout_s=0.2)
    got = late.ask(request_body("unsafe fault=direct:timeout", stream=True))
    assert got.status == 200
    assert got.events[-1]["error"]["code"] == "model_server_timeout"
    assert "[DONE]" not in got.text

    async def use(client):
        stream = await client.chat.completions.create(
            **request_body("fault=direct:timeout"), stream=True
        )
        return [chunk async for chunk in stream]

    with pytest.raises(openai.APIError):
        with_client(late, use)
    early = Gateway(timeout_s=0.05)
    assert early.ask(request_body("fault=direct:timeout", stream=True)).status == 504


@pytest.mark.parametrize(
    ("kind", "status"),
    [("timeout", 504), ("500", 502), ("malformed", 502), ("empty", 502), ("null", 502)],
)
def test_without_a_draft_there_is_an_openai_shaped_error(kind, status):
    limit = 0.1 if kind == "timeout" else 5.0
    got = Gateway(timeout_s=limit).ask(request_body(f"unsafe fault=direct:{kind}"))
    assert got.status == status
    assert set(got.json["error"]) == {"message", "type", "param", "code"}
    assert CANARY not in got.text


def test_a_request_that_the_server_refuses_is_the_clients_to_mend():
    def refuse(request):
        return httpx2.Response(400, json={"error": {"message": CANARY}})

    got = Gateway(transport=httpx2.MockTransport(refuse)).ask(request_body())
    assert got.status == 400 and CANARY not in got.text
    busy = httpx2.MockTransport(lambda request: httpx2.Response(503))
    got = Gateway(transport=busy).ask(request_body())
    assert (got.status, got.headers["retry-after"]) == (503, "1")


def test_a_failed_step_is_the_refusal_or_where_wanted_an_error():
    body = request_body("unsafe fault=caption:500")
    got = Gateway().ask(body)
    choice = got.json["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["content"] == "I can't help with that."
    assert got.json["ecso"][0]["failed_step"] == "caption"
    assert got.json["usage"]["completion_tokens"] == 0
    got = Gateway(changes={"on_error": "raise"}).ask(body)
    assert (got.status, got.json["error"]["code"]) == (502, "ecso_step_failed")


FAULTS = st.sampled_from(["", "timeout", "500", "malformed", "empty", "null", "cut", "unclear"])


@given(
    preset=st.sampled_from(["paper", "hardened"]),
    gives_logprobs=st.booleans(),
    on_error=st.sampled_from(["refuse", "raise"]),
    faults=st.fixed_dictionaries(
        {
            "direct": st.sampled_from(["", "", "", "500", "cut", "error", "unfinished"]),
            "detect": FAULTS,
            "caption": FAULTS,
            "safe": FAULTS,
        }
    ),
    streams=st.booleans(),
    choices=st.integers(1, 3),
    has_image=st.booleans(),
)
def test_no_fault_lets_a_draft_out(
    preset, gives_logprobs, on_error, faults, streams, choices, has_image
):
    if not has_image:
        preset = "hardened"  # the others pass text alone through, as they say
    words = " ".join(f"fault={step}:{kind}" for step, kind in faults.items() if kind)
    body = request_body(f"unsafe {words}", n=choices, stream=streams)
    if not has_image:
        body["messages"][0]["content"] = f"unsafe {words}"
    logs = LogReader()
    logging.getLogger().addHandler(logs)
    try:
        gateway = Gateway(
            preset,
            gives_logprobs,
            timeout_s=0.05,
            keep_alive_s=0.02,
            changes={"on_error": on_error},
        )
        got = gateway.ask(body)
    finally:
        logging.getLogger().removeHandler(logs)
    assert CANARY not in got.text and CANARY not in str(got.headers) and CANARY not in logs.text
    if got.status != 200:
        assert set(got.json["error"]) == {"message", "type", "param", "code"}
    elif streams:
        # A stream ends well or with an error, and never without a word.
        assert "[DONE]" in got.text and got.streamed or "error" in got.events[-1]
    else:
        assert len(got.json["choices"]) == choices


@given(st.text(min_size=1, max_size=300))
def test_the_pieces_of_a_stream_are_the_text(text):
    if text.strip():
        assert "".join(pieces_of(text.rstrip())) == text.rstrip()


def test_what_happens_is_counted_and_no_text_is_among_it():
    gateway = Gateway()

    async def use():
        async with gateway.client() as client:
            for text in ("What is this?", "unsafe SECRETWORD", "unsafe fault=detect:500"):
                await client.post("/v1/chat/completions", json=request_body(text))
            await client.post("/v1/chat/completions", json={})
            return (await client.get("/metrics")).text

    page = asyncio.run(use())
    for line in (
        'ecso_requests_total{reason="none",status="200"} 1.0',
        'ecso_requests_total{reason="unsafe",status="200"} 1.0',
        'ecso_requests_total{reason="model_server",status="200"} 1.0',
        'ecso_requests_total{reason="request",status="400"} 1.0',
        'ecso_answers_total{outcome="direct",reason="none"} 1.0',
        'ecso_answers_total{outcome="safe",reason="unsafe"} 1.0',
        'ecso_answers_total{outcome="refusal",reason="model_server"} 1.0',
        'ecso_verdicts_total{verdict="unsafe"} 1.0',
        'ecso_verdicts_total{verdict="unclear"} 1.0',
        'ecso_model_server_errors_total{fault="status",step="detect"} 1.0',
        'ecso_step_seconds_count{step="caption"} 1.0',
        "ecso_requests_running 0.0",
    ):
        assert line in page.splitlines(), line
    assert "SECRETWORD" not in page and CANARY not in page


def test_a_client_that_leaves_cancels_the_calls_for_it():
    cancelled = []

    class Waits(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if b"sky blue" in await request.aread():
                return httpx2.Response(400)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

    async def leave(streams):
        app = Gateway(transport=Waits(), keep_alive_s=0.01).app()
        body = json.dumps(request_body(n=2, stream=streams)).encode()
        messages = [{"type": "http.request", "body": body}]
        sent = []

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
        }
        await asyncio.wait_for(app(scope, receive, send), timeout=10)
        return b"".join(message.get("body", b"") for message in sent)

    for streams in (False, True):
        cancelled.clear()
        assert b"data:" not in asyncio.run(leave(streams))
        assert len(cancelled) == 2
