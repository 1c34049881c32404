"""What the gateway does not let in: bad bodies, bad images, strangers, crowds."""

import asyncio
import base64
import json
import logging

import httpx2
import pytest

from modeling_ecso.gateway.config import Limits
from modeling_ecso.gateway.image_fetch import ImageFetcher, is_public
from modeling_ecso.gateway.keys import ApiKeys, keys_in
from tests.support.gateway_client import IMAGE, Gateway, data_uri, request_body


def with_message(**message):
    return {"model": "scripted", "messages": [message]}


def with_part(part):
    return with_message(role="user", content=[part])


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (request_body(tools=[{"type": "function"}]), 400, "tools"),
        (request_body(tool_choice="auto"), 400, "tool_choice"),
        (request_body(functions=[]), 400, "functions"),
        (request_body(audio={"voice": "x"}), 400, "audio"),
        (request_body(modalities=["text", "audio"]), 400, "modalities"),
        (request_body(response_format={"type": "json_object"}), 400, "response_format"),
        (request_body(logprobs=True), 400, "logprobs"),
        (request_body(frobnicate=1), 400, "frobnicate"),
        (request_body(n=0), 400, "n"),
        (request_body(n=9), 400, "n"),
        (request_body(n=True), 400, "n"),
        (request_body(stream="yes"), 400, "stream"),
        (request_body(stream_options={"other": True}), 400, "stream_options"),
        (request_body(temperature=3), 400, "temperature"),
        (request_body(temperature="hot"), 400, "temperature"),
        (request_body(temperature=float("nan")), 400, "temperature"),
        (request_body(top_p=-1), 400, "top_p"),
        (request_body(max_tokens=0), 400, "max_tokens"),
        (request_body(max_tokens=1, max_completion_tokens=1), 400, "max_completion_tokens"),
        (request_body(seed=-1), 400, "seed"),
        (request_body(stop=[]), 400, "stop"),
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
        (with_message(role="user", content="x", name="me"), 400, "messages[0].name"),
        (with_message(role="assistant", content="x"), 400, "messages"),
        (with_part({"type": "input_audio", "input_audio": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "file", "file": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "video_url", "video_url": {}}), 400, "messages[0].content[0]"),
        (with_part({"type": "text"}), 400, "messages[0].content[0]"),
        (with_part({"type": "text", "text": 3}), 400, "messages[0].content[0].text"),
        (with_part({"type": "image_url", "image_url": IMAGE}), 400, None),
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


def test_fields_that_ask_for_nothing_are_taken():
    body = request_body(
        tools=[], logprobs=False, response_format={"type": "text"}, user=None, n=None, stop="x"
    )
    assert Gateway().ask(body).status == 200


def test_images_outside_user_turns_are_refused():
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    body = request_body()
    body["messages"].insert(0, {"role": "system", "content": [image]})
    assert Gateway().ask(body).status == 400


def uri_of(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/etc/passwd", 400),
        ("file:///etc/passwd", 400),
        ("http://example.org/a.png", 400),
        ("https://example.org/a.png", 400),
        ("data:image/svg+xml;base64,PHN2Zz4=", 400),
        ("data:text/html;base64,PHN2Zz4=", 400),
        ("data:image/png;base64,@@@@", 400),
        ("data:image/png;base64,", 400),
        ("data:image/png,abc", 400),
        (uri_of(b"no image"), 400),
        (uri_of(base64.b64decode(IMAGE.split(",")[1])[:20]), 400),
        (data_uri(1001, 1000), 413),
        (uri_of(b"x" * 30_000), 413),
    ],
    ids=lambda value: str(value)[:45],
)
def test_bad_images_are_refused(url, status):
    gateway = Gateway(limits=Limits(image_bytes=20_000, image_pixels=1_000_000))
    got = gateway.ask(request_body(image=url))
    assert got.status == status, got.text
    assert got.json["error"]["param"] == "messages[0].content[0].image_url"
    assert not gateway.calls


def test_a_image_is_what_its_bytes_say_and_there_are_not_too_many():
    gateway = Gateway(limits=Limits(images=2))
    gateway.ask(request_body(image=data_uri(kind="jpeg").replace("image/jpeg", "image/png")))
    sent = gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert sent.startswith("data:image/jpeg;base64,")
    body = request_body()
    body["messages"][0]["content"] *= 3
    assert gateway.ask(body).status == 400


PUBLIC = "93.184.215.14"


def fetcher(addresses=(PUBLIC,), respond=None, hosts=("images.example",)):
    """A fetcher whose network is a function, and the requests it was sent."""
    sent = []
    image = base64.b64decode(IMAGE.split(",")[1])

    def answer(request):
        sent.append(request)
        return respond(request) if respond else httpx2.Response(200, content=image)

    async def resolve(host, port):
        return list(addresses)

    return ImageFetcher(hosts, resolve=resolve, transport=httpx2.MockTransport(answer)), sent


def test_a_image_from_an_allowed_host_comes_from_the_address_that_was_checked():
    fetches, sent = fetcher()
    gateway = Gateway(fetcher=fetches)
    got = gateway.ask(request_body(image="https://images.example/a.png"))
    assert got.status == 200
    (request,) = sent
    assert request.url.host == PUBLIC and request.headers["host"] == "images.example"
    assert request.extensions["sni_hostname"] == "images.example"
    assert gateway.calls[0]["messages"][0]["content"][0]["image_url"]["url"] == IMAGE


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://other.example/a.png", [PUBLIC]),
        ("http://images.example/a.png", [PUBLIC]),
        ("https://me@images.example/a.png", [PUBLIC]),
        ("https://images.example:8443/a.png", [PUBLIC]),
        ("https://images.example/a.png", ["127.0.0.1"]),
        ("https://images.example/a.png", [PUBLIC, "10.0.0.1"]),
        ("https://images.example/a.png", ["::ffff:169.254.169.254"]),
        ("https://images.example/a.png", []),
    ],
)
def test_no_other_host_and_no_private_address_is_asked(url, addresses):
    fetches, sent = fetcher(addresses)
    assert Gateway(fetcher=fetches).ask(request_body(image=url)).status == 400
    assert not sent


@pytest.mark.parametrize(
    "respond",
    [
        lambda request: httpx2.Response(302, headers={"location": "http://127.0.0.1/"}),
        lambda request: httpx2.Response(404),
        lambda request: httpx2.Response(200, content=b"x" * 2_000_000),
        lambda request: httpx2.Response(200, content=b"<html>"),
    ],
)
def test_redirects_floods_and_other_things_are_no_images(respond):
    fetches, sent = fetcher(respond=respond)
    gateway = Gateway(fetcher=fetches, limits=Limits(image_bytes=1_000_000))
    got = gateway.ask(request_body(image="https://images.example/a.png"))
    assert got.status == 400 and len(sent) == 1


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "224.0.0.1", "::1"]
    + ["fe80::1", "fc00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:10.0.0.1", "localhost"],
)
def test_private_addresses_are_not_public(address):
    assert not is_public(address) and is_public(PUBLIC)


def test_with_keys_strangers_stay_outside_and_nothing_of_a_key_is_told(caplog):
    caplog.set_level(logging.DEBUG)
    gateway = Gateway(keys=ApiKeys(["first-key", "second-key"]))
    for header in (None, "Bearer wrong", "second-key", "Basic second-key", "Bearer "):
        headers = {"authorization": header} if header else {}
        got = gateway.ask(request_body(), **headers)
        assert got.status == 401 and got.json["error"]["code"] == "invalid_api_key"
        assert gateway.get("/v1/models", **headers).status == 401
        assert gateway.get("/metrics", **headers).status == 401
    assert not gateway.calls
    assert gateway.ask(request_body(), authorization="Bearer second-key").status == 200
    assert gateway.get("/health").status == 200
    assert "second-key" not in caplog.text + repr(ApiKeys(["second-key"]))


def test_keys_are_read_from_lines_and_commas():
    assert keys_in("a\n# note\n b , c # mine\n\n") == ["a", "b", "c"]


def test_bodies_that_are_too_large_or_no_json_are_not_read():
    gateway = Gateway(limits=Limits(body_bytes=1000))
    assert gateway.ask(request_body("x" * 1000)).status == 413
    assert gateway.ask(b"{}", **{"content-type": "text/plain"}).status == 415
    assert not gateway.calls


def test_a_body_that_does_not_arrive_is_given_up():
    app = Gateway(limits=Limits(body_timeout_s=0.05)).app()
    sent = []

    async def receive():
        await asyncio.sleep(3600)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b""}
    scope["headers"] = [(b"content-type", b"application/json")]
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_a_full_house_says_come_back_and_has_room_again_afterwards():
    gateway = Gateway(limits=Limits(concurrent_requests=2))
    slow = request_body("fault=direct:slow")
    got = gateway.ask_all([slow, slow, slow])
    assert sorted(one.status for one in got) == [200, 200, 429]
    refused = next(one for one in got if one.status == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json["error"]["type"] == "rate_limit_error"


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
