"""Whatever a model server sends or forgets, the run ends in bounded memory and fails closed."""

import asyncio
import gzip
import json
import logging
import tracemalloc

import httpx2
import pytest

from examples.load.scripted_upstream import (
    CANARY,
    GOOD_ANSWER,
    SAFE_ANSWER,
    build_upstream,
    step_of,
)
from modeling_ecso import ECSOConfig
from modeling_ecso.endpoint.chat import Chat
from modeling_ecso.endpoint.completion_read import read_completion
from modeling_ecso.endpoint.model_server import Fault, ModelServerError, ServerTraits
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.run import EndpointRun
from modeling_ecso.endpoint.streamed_completion import MAX_RESPONSE_BYTES, StreamedCompletion
from modeling_ecso.gateway.metrics import Metrics
from tests.support.streaming_transport import StreamingTransport


PIXEL = "data:image/png;base64,iVBORw0KGgo="


def server_of(transport):
    return OpenAIServer("http://m/v1", "scripted", retries=0, timeout_s=5, transport=transport)


def ran(server, text="What is unsafe here?", preset="paper", **changes):
    """A finished run."""
    config = ECSOConfig.from_preset(preset, **changes)
    run = EndpointRun(server, Chat.of_one_turn(text, (PIXEL,)), config)

    async def all_steps():
        async for _ in run:
            pass

    asyncio.run(all_steps())
    return run


class Sends(httpx2.AsyncBaseTransport):
    """Answers everything with one body, as it comes over a wire."""

    def __init__(self, chunks, headers=None):
        self._chunks = chunks
        self._headers = headers or {}
        self.asked = []

    async def handle_async_request(self, request):
        self.asked.append(request)

        class Stream(httpx2.AsyncByteStream):
            async def __aiter__(stream):
                for chunk in self._chunks():
                    yield chunk

        return httpx2.Response(200, headers=self._headers, stream=Stream())


def bomb():
    packer = gzip.compress(b" " * 200_000_000, 9)
    yield packer


def endless():
    while True:
        yield b" " * 65_536


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        (bomb, {"content-encoding": "gzip"}),
        (endless, {}),
        (lambda: [b"{}"], {"content-length": str(MAX_RESPONSE_BYTES + 1)}),
        (lambda: [b"{}"], {"content-length": "9" * 5000}),
    ],
    ids=["packed", "endless", "announced", "announced beyond numbers"],
)
def test_a_response_is_read_up_to_its_limit_and_never_unpacked(chunks, headers):
    transport = Sends(chunks, headers)
    tracemalloc.start()
    with pytest.raises(ModelServerError) as raised:
        asyncio.run(server_of(transport).complete([], {}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert raised.value.fault is Fault.TOO_LARGE
    assert raised.value.__context__ is None
    assert transport.asked[0].headers["accept-encoding"] == "identity"
    assert most < 4 * MAX_RESPONSE_BYTES


def completion(text="Yes", **choice):
    message = {"message": {"content": text}}
    return json.dumps({"choices": [{**message, **choice}], "usage": choice.get("usage")}).encode()


def test_half_characters_are_a_malformed_answer():
    body = b'{"choices": [{"message": {"content": "half \\ud800"}}]}'
    with pytest.raises(ModelServerError) as raised:
        read_completion(body, 0.0)
    assert raised.value.fault is Fault.MALFORMED and raised.value.__context__ is None


@pytest.mark.parametrize("count", [10**400, -1, True, "3", 1.5, None, [3]])
def test_counts_that_are_none_are_nought_and_can_be_counted(count):
    usage = {"completion_tokens": count, "prompt_tokens": count}
    body = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage}).encode()
    read = read_completion(body, 0.0)
    assert (read.tokens, read.prompt_tokens) == (0, 0)
    float(read.tokens)


@pytest.mark.parametrize("count", [10**400, -1, True, "3", 1.5, None, [3]])
def test_counts_in_a_stream_that_are_none_are_estimated(count):
    written = StreamedCompletion()
    for word in ("two ", "words"):
        piece = {"choices": [{"delta": {"content": word}}], "usage": {"completion_tokens": count}}
        written.add(piece)
    assert written.tokens == 2


@pytest.mark.parametrize("usage", [[1], "x", 7])
def test_no_counts_at_all_in_a_stream_are_a_malformed_answer(usage):
    pieces = [{"choices": [{"delta": {"content": "a kite "}}], "usage": usage}] * 40
    events = b"".join(f"data: {json.dumps(piece)}\n\n".encode() for piece in pieces)
    stream = {"content-type": "text/event-stream"}

    def answer(request):
        if json.loads(request.content).get("stream"):
            return httpx2.Response(200, content=events, headers=stream)
        return httpx2.Response(200, content=completion("No."))

    with pytest.raises(ModelServerError) as raised:
        ran(server_of(httpx2.MockTransport(answer)))
    assert raised.value.fault is Fault.MALFORMED


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_answer_is_an_answer(text):
    def answer(request):
        asked = json.loads(request.content)
        judges = "Answer yes or no:" in str(asked["messages"])
        return httpx2.Response(200, content=completion("No." if judges else text))

    run = ran(server_of(httpx2.MockTransport(answer)))
    assert (run.answer.text, run.answer.finish_reason, run.reason) == ("", "stop", None)


@pytest.mark.parametrize(
    ("said", "read"),
    [("stop", "stop"), (None, "stop"), ("eos_token", "stop"), ("length", "length")]
    + [("repetition", "length"), ("max_tokens", "length"), ("content_filter", "content_filter")],
)
def test_an_answer_that_was_cut_short_does_not_count_as_complete(said, read):
    assert read_completion(completion(finish_reason=said), 0.0).finish_reason == read


def test_an_answer_that_was_broken_off_is_none():
    with pytest.raises(ModelServerError) as raised:
        read_completion(completion(finish_reason="abort"), 0.0)
    assert raised.value.fault is Fault.BROKEN_OFF


class Restarted(httpx2.AsyncBaseTransport):
    """The scripted server, which loses its log-probabilities after so many calls."""

    def __init__(self, calls, how):
        self._transport = StreamingTransport(build_upstream())
        self._left = calls
        self._how = how

    async def handle_async_request(self, request):
        self._left -= 1
        body = json.loads(await request.aread())
        if self._left >= 0 or not body.get("logprobs"):
            return await self._transport.handle_async_request(request)
        if self._how == "refuses":
            return httpx2.Response(400, json={"error": {"message": CANARY}})
        response = await self._transport.handle_async_request(request)
        said = json.loads(await response.aread())
        if self._how == "leaves out":
            said["choices"][0]["logprobs"] = None
        else:
            for alternative in said["choices"][0]["logprobs"]["content"]:
                if self._how == "numbers":
                    alternative["token"] = "token_id:224"
                alternative["top_logprobs"] = [{"token": "token_id:224", "logprob": -0.1}]
        return httpx2.Response(200, json=said)


@pytest.mark.parametrize("how", ["refuses", "leaves out", "numbers", "numbers beside"])
@pytest.mark.parametrize("preset", ["paper", "hardened"])
@pytest.mark.parametrize(
    ("text", "answer"), [("What is this?", GOOD_ANSWER), ("unsafe", SAFE_ANSWER)]
)
def test_a_server_that_loses_its_log_probabilities_is_asked_for_words(how, preset, text, answer):
    server = server_of(Restarted(2, how))  # the probe and the draft
    run = ran(server, text, preset)
    assert run.answer.text == answer
    assert run.trace.p_unsafe is None
    assert run.reads_text_instead is (preset == "hardened")
    # It was forgotten, so that the next run finds out anew.
    assert not asyncio.run(server.traits()).gives_logprobs


def test_a_request_that_is_refused_for_itself_takes_no_log_probabilities_away():
    server = server_of(StreamingTransport(build_upstream()))
    run = ran(server, "unsafe fault=detect:too_long")
    assert run.trace.failed_step == "detect"
    assert asyncio.run(server.traits()).gives_logprobs


def test_numbers_in_place_of_tokens_are_no_log_probabilities(caplog):
    server = server_of(Restarted(0, "numbers"))
    assert not asyncio.run(server.traits()).gives_logprobs
    assert ran(server, "What is this?", "hardened").answer.text == GOOD_ANSWER
    assert ran(server, "unsafe", "hardened").answer.text == SAFE_ANSWER
    lines = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(lines) == 1 and "read as text" in lines[0].message


def test_a_blank_first_token_says_nothing_about_log_probabilities():
    blank = {"token": " ", "top_logprobs": [{"token": " ", "logprob": -0.1}]}
    word = {"token": "Yes", "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}
    number = {"token": "Yes", "top_logprobs": [{"token": "token_id:224", "logprob": -0.1}]}
    for content, expected in (([blank, word], True), ([blank, number], False), ([blank], False)):
        choice = {"message": {"content": " Yes"}, "logprobs": {"content": content}}
        body = json.dumps({"choices": [{**choice, "finish_reason": "stop"}]}).encode()
        assert read_completion(body, 0.0).has_logprobs is expected


def test_verdicts_that_were_read_as_text_are_counted():
    metrics = Metrics()
    for gives_logprobs in (True, False):
        transport = StreamingTransport(build_upstream(gives_logprobs=gives_logprobs))
        metrics.count_run(ran(server_of(transport), preset="hardened"))
    assert "ecso_text_fallbacks_total 1.0" in metrics.page().decode().splitlines()


class Interrupted:
    """The scripted server, in one of whose steps the run is cancelled."""

    def __init__(self, step):
        self._server = server_of(StreamingTransport(build_upstream()))
        self._step = step

    async def traits(self, anew=False):
        return ServerTraits(gives_logprobs=True)

    async def complete(self, messages, fields, wants_logprobs=False, on_piece=None):
        if step_of(str(messages)) == self._step:
            raise asyncio.CancelledError
        return await self._server.complete(messages, fields, wants_logprobs)


@pytest.mark.parametrize("step", ["detect", "caption", "safe"])
def test_what_ends_a_run_from_outside_carries_no_frame_of_its_steps(step):
    with pytest.raises(asyncio.CancelledError) as raised:
        ran(Interrupted(step), "unsafe")
    names, error = [], raised.value
    while error is not None:
        trace = error.__traceback__
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        error = error.__context__
    assert "__aiter__" in names and "_steps" not in names


def test_no_run_can_be_driven_without_asking_for_log_probabilities():
    """Whoever drives a run, by its steps or to its end, has asked before the first of them."""
    server_app = build_upstream(gives_logprobs=False)
    run = EndpointRun(
        server_of(StreamingTransport(server_app)),
        Chat.of_one_turn("unsafe", (PIXEL,)),
        ECSOConfig.from_preset("hardened"),
    )

    async def first_step():
        async for _ in run:
            break

    asyncio.run(first_step())
    assert "sky" in str(server_app.state.calls[0]) and run.reads_text_instead
