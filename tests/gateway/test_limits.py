"""How much of the gateway one client, or one model server, can take."""

import asyncio
import json

import httpx2

from examples.load.scripted_upstream import step_of
from modeling_ecso.gateway.config import MEGABYTE, Limits
from tests.support.gateway_client import Gateway, request_body


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


def chat_scope():
    headers = [(b"content-type", b"application/json")]
    return {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": headers,
    }


class Connection:
    """A request whose body comes in pieces, and what it is answered."""

    def __init__(self, *pieces, ends=True):
        self._pieces = list(pieces)
        self._ends = ends
        self.sent = []

    async def receive(self):
        if self._pieces:
            body = self._pieces.pop(0)
            more = bool(self._pieces) or not self._ends
            return {"type": "http.request", "body": body, "more_body": more}
        await asyncio.sleep(3600)

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]


def test_bodies_that_do_not_arrive_keep_nobody_out():
    app = Gateway(limits=Limits(concurrent_requests=2, body_timeout_s=0.5)).app()

    async def ask_beside_idle_ones():
        idle = [Connection(b"{", ends=False) for _ in range(50)]
        tasks = [asyncio.create_task(app(chat_scope(), c.receive, c.send)) for c in idle]
        await asyncio.sleep(0.05)
        whole = Connection(json.dumps(request_body()).encode())
        await app(chat_scope(), whole.receive, whole.send)
        await asyncio.gather(*tasks)
        return whole.status, {c.status for c in idle}

    assert asyncio.run(ask_beside_idle_ones()) == (200, {408})


def test_a_body_that_stands_still_is_given_up_before_its_time():
    app = Gateway(limits=Limits(body_timeout_s=30, body_idle_s=0.05)).app()
    connection = Connection(b"{", ends=False)
    asyncio.run(asyncio.wait_for(app(chat_scope(), connection.receive, connection.send), 5))
    assert connection.status == 408


def test_of_bodies_that_hold_too_much_the_longest_is_given_up():
    limits = Limits(body_bytes=MEGABYTE, arriving_bytes=2 * MEGABYTE)
    app = Gateway(limits=limits).app()
    piece = b" " * (MEGABYTE - 10_000)

    async def ask():
        slow = [Connection(piece, ends=False) for _ in range(3)]
        tasks = [asyncio.create_task(app(chat_scope(), c.receive, c.send)) for c in slow]
        await asyncio.sleep(0.05)
        whole = Connection(json.dumps(request_body()).encode())
        await app(chat_scope(), whole.receive, whole.send)
        done = [task.done() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return whole.status, done, slow[0].status

    status, done, first = asyncio.run(ask())
    assert (status, first) == (200, 408)
    assert done == [True, False, False]


class Counting(httpx2.AsyncBaseTransport):
    """Answers every step after a moment, and counts the calls at a time."""

    def __init__(self, draft):
        self._draft = draft
        self._now = self.most = self.detects = 0

    async def handle_async_request(self, request):
        body = json.loads(await request.aread())
        probes = "sky" in str(body["messages"])
        step = "probe" if probes else step_of(str(body["messages"]))
        self._now += 1
        self.most = max(self.most, self._now)
        self.detects += step == "detect"
        await asyncio.sleep(0.002)
        self._now -= 1
        says = self._draft if step == "direct" else "No."
        return httpx2.Response(200, json={"choices": [{"message": {"content": says}}]})


def test_so_many_calls_at_a_time_and_no_more_over_all_choices():
    counting = Counting("".join(f"{number:08}" for number in range(5000)))
    gateway = Gateway(transport=counting, limits=Limits(parallel_calls=3))
    got = gateway.ask(request_body(n=4))
    assert got.status == 200
    assert counting.detects == 4 * 24
    assert counting.most == 3


def test_an_answer_of_too_many_windows_is_refused_without_being_asked_about():
    counting = Counting("x" * 500_000)
    got = Gateway(transport=counting).ask(request_body())
    assert counting.detects == 0
    choice = got.json["choices"][0]
    assert choice["finish_reason"] == "content_filter" and "xxx" not in got.text
    assert got.json["ecso"][0]["reason"] == "unjudged"
