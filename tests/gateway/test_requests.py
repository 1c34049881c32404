"""What a request may say: whatever asks for nothing is taken, what cannot be served is said."""

import json
import logging
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gateway_client import IMAGE, Gateway, request_body


def with_message(**message):
    return {"model": "scripted", "messages": [message]}


def with_part(part):
    return with_message(role="user", content=[part])


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (request_body(tools=[{"type": "function"}]), 400, "tools"),
        (request_body(audio={"voice": "x"}), 400, "audio"),
        (request_body(modalities=["text", "audio"]), 400, "modalities"),
        (request_body(response_format={"type": "json_object"}), 400, "response_format"),
        (request_body(logprobs=True), 400, "logprobs"),
        (request_body(frobnicate=1), 400, "frobnicate"),
        (request_body(n=0), 400, "n"),
        (request_body(n=9), 400, "n"),
        (request_body(n=True), 400, "n"),
        (request_body(stream="yes"), 400, "stream"),
        (request_body(stream_options={"other": True}), 400, "stream_options.other"),
        (request_body(temperature=3), 400, "temperature"),
        (request_body(temperature="hot"), 400, "temperature"),
        (request_body(temperature=float("nan")), 400, "temperature"),
        (request_body(top_p=-1), 400, "top_p"),
        (request_body(max_tokens=0), 400, "max_tokens"),
        (request_body(max_tokens=1, max_completion_tokens=2), 400, "max_completion_tokens"),
        (request_body(max_tokens=16_385), 400, "max_tokens"),
        (request_body(max_completion_tokens=10**400), 400, "max_completion_tokens"),
        (request_body(temperature=10**400), 400, "temperature"),
        (request_body(seed=10**400), 400, "seed"),
        (request_body(tool_choice="required"), 400, "tool_choice"),
        (request_body(functions=[{"name": "f"}]), 400, "functions"),
        (request_body(logit_bias={"5": 1}), 400, "logit_bias"),
        (request_body(top_logprobs=2), 400, "top_logprobs"),
        (request_body(top_k=5), 400, "top_k"),
        (request_body(top_p=0), 400, "top_p"),
        (request_body(store=True), 400, "store"),
        (request_body(stop=3), 400, "stop"),
        (request_body(**{"\ud800": 1}), 400, "the body"),
        (request_body("x" * 200_001), 413, "messages"),
        (with_message(role="user", content="x", **{"\ud800": 1}), 400, "messages[0]"),
        (with_message(role="user", content=[]), 400, "messages[0].content"),
        (request_body(seed=-2), 400, "seed"),
        (request_body(seed=1.5), 400, "seed"),
        (request_body(max_tokens=7.5), 400, "max_tokens"),
        (request_body(n=1.5), 400, "n"),
        (request_body(stop=["", 3]), 400, "stop[0]"),
        (request_body(logit_bias={"5": 0, "6": -100}), 400, "logit_bias"),
        (request_body(logit_bias={"5": "0"}), 400, "logit_bias"),
        (request_body(length_penalty=1.2), 400, "length_penalty"),
        (request_body(typical_p=0.9), 400, "typical_p"),
        (request_body(priority=1), 400, "priority"),
        (request_body(include_stop_str_in_output=True), 400, "include_stop_str_in_output"),
        (request_body(spaces_between_special_tokens=False), 400, "spaces_between_special_tokens"),
        (request_body(add_special_tokens=True), 400, "add_special_tokens"),
        (request_body(response_format={"type": "text", "x": 1}), 400, "response_format"),
        (request_body(stop=["a"] * 5), 400, "stop"),
        (request_body(presence_penalty=9), 400, "presence_penalty"),
        (request_body() | {"model": "other"}, 404, "model"),
        ({"messages": [{"role": "user", "content": "x"}]}, 400, "model"),
        ({"model": "scripted"}, 400, "messages"),
        ({"model": "scripted", "messages": []}, 400, "messages"),
        ({"model": "scripted", "messages": ["x"]}, 400, "messages[0]"),
        (with_message(role="tool", content="x"), 400, "messages[0].role"),
        (with_message(role="user"), 400, "messages[0].content"),
        (with_message(role="user", content=""), 400, "messages[0].content"),
        (with_message(role="user", content="\ud800"), 400, "messages[0].content"),
        (with_message(role="assistant", content="x"), 400, "messages"),
        (with_part({"type": "input_audio", "input_audio": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "file", "file": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "video_url", "video_url": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "text"}), 400, "messages[0].content[0]"),
        (with_part({"type": "text", "text": 3}), 400, "messages[0].content[0].text"),
        (with_part({"type": "image_url", "image_url": IMAGE}), 400, None),
        (
            with_part({"type": "image_url", "image_url": {"url": IMAGE, "detail": "huge"}}),
            400,
            "messages[0].content[0].image_url.detail",
        ),
        (
            with_part({"type": "text", "text": "x", "image_url": {"url": IMAGE}}),
            400,
            "messages[0].content[0]",
        ),
        (with_part({"type": "refusal", "refusal": 3}), 400, "messages[0].content[0].text"),
        ([], 400, None),
        (b"{", 400, None),
        (b"[" * 100_000, 400, None),
        (b"\xff", 400, None),
    ],
    ids=lambda value: str(value)[-60:] if isinstance(value, dict | bytes) else None,
)
def test_what_cannot_be_served_is_said_and_reaches_no_model(body, status, param):
    gateway = Gateway()
    got = gateway.ask(body)
    assert got.status == status, got.text
    assert set(got.json["error"]) == {"message", "type", "param", "code"}
    if param is not None:
        assert got.json["error"]["param"] == param
    assert not gateway.calls


ASK_FOR_NOTHING = [
    {"tools": [], "functions": [], "tool_choice": "none", "function_call": "auto"},
    {"tool_choice": "auto", "parallel_tool_calls": False},
    {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "n": 1},
    {"response_format": {"type": "text"}, "modalities": ["text"], "audio": None},
    {"user": "somebody", "metadata": {}, "safety_identifier": "s", "prompt_cache_key": "k"},
    {"metadata": {"from": "a test"}, "service_tier": "auto", "store": False},
    {"stop": []},
    {"stop": ""},
    {"stop": None, "seed": None, "temperature": None, "stream_options": None},
    {"max_tokens": 7, "max_completion_tokens": 7},
    {"stream_options": {"include_usage": False, "include_obfuscation": False}},
    {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "chat_template_kwargs": {}},
    {"something_new": None, "something_else": [], "a_third": {}, "a_fourth": ""},
    {"logit_bias": {"5": 0, "6": 0.0, "7": None}},
    {"length_penalty": 1.0, "typical_p": 1.0, "priority": 0, "repeat_penalty": 1.0},
    {"include_stop_str_in_output": False, "spaces_between_special_tokens": True},
    {"add_special_tokens": False, "add_generation_prompt": True, "return_token_ids": False},
    {"seed": -1},
    {"n": 1.0},
    {"max_tokens": 7.0},
    {"stop": [""]},
    {"response_format": {"type": "text", "json_schema": None}},
]


@pytest.mark.parametrize("fields", ASK_FOR_NOTHING, ids=lambda fields: ",".join(fields))
def test_fields_that_ask_for_nothing_are_taken_and_do_not_reach_the_model(fields):
    gateway = Gateway()
    got = gateway.ask(request_body(**fields))
    assert got.status == 200, got.text
    direct = gateway.calls[0]
    assert set(direct) <= {"model", "messages", "max_tokens", "stream", "stream_options"}


def test_a_stop_text_and_its_list_are_one():
    for stop in ("END", ["END"]):
        gateway = Gateway()
        assert gateway.ask(request_body(stop=stop)).status == 200
        assert gateway.calls[0]["stop"] == ["END"]


EMPTY = {"tool_calls": [], "annotations": [], "reasoning_content": "", "refusal": None}


@pytest.mark.parametrize(
    "earlier",
    [
        {"role": "assistant", "content": "Hello.", "name": "helper", "audio": None, **EMPTY},
        {"role": "assistant", "content": "", **EMPTY},
        {"role": "assistant", "content": None, "function_call": None, **EMPTY},
        {"role": "assistant", "content": []},
        {"role": "assistant", **EMPTY},
        {"role": "user", "content": "", "name": "me"},
        {"role": "system", "content": ""},
        {"role": "system", "content": None},
        {"role": "assistant", "content": "Hello.", "weight": 1, "reasoning_content": "I think so."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": [{"type": "text", "text": "x", "image_url": {}}]},
        {"role": "user", "content": [{"type": "text", "text": "", "cache_control": None}]},
    ],
    ids=str,
)
def test_histories_are_taken_as_clients_send_them(earlier):
    body = request_body()
    body["messages"] = [{"role": "user", "content": "Hi"}, earlier, *body["messages"]]
    gateway = Gateway()
    got = gateway.ask(body)
    assert got.status == 200, got.text
    for message in gateway.calls[0]["messages"]:
        assert set(message) == {"role", "content"} and message["content"] is not None


@pytest.mark.parametrize(
    "earlier",
    [
        {"role": "assistant", "content": None, "refusal": "I refused."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I refused."}]},
    ],
    ids=str,
)
def test_a_refusal_in_a_history_is_what_the_assistant_said(earlier):
    body = request_body("unsafe")
    body["messages"] = [{"role": "user", "content": "Hi"}, earlier, *body["messages"]]
    gateway = Gateway()
    assert gateway.ask(body).status == 200
    for call in gateway.calls[:2]:  # as the model reads it, and as it is judged
        assert "I refused." in str(call["messages"])


def test_an_image_of_the_original_size_goes_on_as_it_is():
    body = request_body()
    body["messages"][0]["content"][0]["image_url"]["detail"] = "original"
    gateway = Gateway()
    assert gateway.ask(body).status == 200
    assert gateway.calls[0]["messages"][0]["content"][0]["image_url"] == {"url": IMAGE}


def test_half_a_character_is_told_wherever_it_stands():
    for body in (
        request_body(**{"\ud800": 1}),
        with_message(role="\ud800", content="x"),
        request_body(stop="\ud800"),
        request_body() | {"model": "\ud800"},
    ):
        assert "half a character" in Gateway().ask(body).json["error"]["message"]


def test_an_empty_text_beside_an_image_says_nothing():
    gateway = Gateway()
    assert gateway.ask(request_body(text="")).status == 200
    parts = gateway.calls[0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url"]


NAMES = st.sampled_from(
    ["model", "messages", "role", "content", "type", "text", "image_url", "url", "detail", "n"]
    + ["stop", "seed", "stream", "stream_options", "max_tokens", "temperature", "top_p", "tools"]
    + ["name", "tool_calls", "metadata", "logit_bias", "frobnicate", "\ud800", ""]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 1e308, float("nan"), float("-inf")])
    | st.sampled_from(["", "user", "assistant", "text", "image_url", "scripted", "\udfff", IMAGE])
)
VALUES = st.recursive(
    LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=4)
)


@given(
    at=st.sampled_from(["body", "message", "part", "image"]),
    name=NAMES,
    value=VALUES,
    streams=st.booleans(),
)
@settings(deadline=None)
def test_whatever_is_sent_is_answered_or_refused_in_the_shape_of_the_api(at, name, value, streams):
    body = request_body(stream=streams)
    message = body["messages"][0]
    part = message["content"][0]
    {"body": body, "message": message, "part": part, "image": part["image_url"]}[at][name] = value
    got = Gateway().ask(body)
    assert got.status == 200 or 400 <= got.status < 500, got.text
    if got.status != 200:
        assert set(got.json["error"]) == {"message", "type", "param", "code"}
        assert got.json["ecso"] == {"reason": "request"}


def test_no_message_repeats_what_was_sent():
    for body in (
        request_body(temperature="SECRETWORD"),
        request_body(stop=["SECRETWORD"] * 9),
        request_body() | {"model": "SECRETWORD"},
        with_message(role="SECRETWORD", content="x"),
        with_message(role="user", content=[{"type": "SECRETWORD"}]),
        with_message(role="user", content={"SECRETWORD": 1}),
    ):
        got = Gateway().ask(body)
        assert got.status in (400, 404) and "SECRETWORD" not in got.text


def test_a_body_of_very_many_values_is_not_parsed():
    started = time.perf_counter()
    got = Gateway().ask(b'{"model": [' + b"[]," * 5_000_000 + b"1]}")
    assert got.status == 413 and "values" in got.json["error"]["message"]
    assert time.perf_counter() - started < 1.0


def test_images_outside_user_turns_are_refused():
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    body = request_body()
    body["messages"].insert(0, {"role": "system", "content": [image]})
    assert Gateway().ask(body).status == 400


def test_no_prompt_is_logged(caplog):
    caplog.set_level(logging.INFO)
    for text in ("SECRETWORD", "unsafe SECRETWORD fault=detect:500", "SECRETWORD fault=direct:500"):
        Gateway().ask(request_body(text))
    assert "SECRETWORD" not in caplog.text and IMAGE[-40:] not in caplog.text
    assert "the detect step failed (status)" in caplog.text


def test_trusted_system_text_frames_every_step_and_other_system_text_is_judged():
    body = request_body("What is this?")
    body["messages"].insert(0, {"role": "developer", "content": "Say no."})
    for trusts, roles in ((True, ["system", "user"]), (False, ["user"])):
        gateway = Gateway(trusts_system=trusts)
        assert gateway.ask(body).status == 200
        detect = gateway.calls[1]
        assert [message["role"] for message in detect["messages"]] == roles
        assert ("Say no." in json.dumps(detect["messages"][-1])) is not trusts
