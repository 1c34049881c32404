"""Several model servers as one: the least busy is asked, one that fails is passed by."""

import asyncio
import contextlib
import math
from collections import Counter

import httpx2
import pytest

from examples.load.scripted_upstream import Thinking
from modeling_ecso.endpoint import openai_server, server_pool
from modeling_ecso.endpoint.model_server import Fault, ModelServerError, ServerTraits
from modeling_ecso.endpoint.openai_server import OpenAIServer
from modeling_ecso.endpoint.server_pool import ServerPool, pool_of, run_together
from modeling_ecso.errors_ecso import ECSOInputError
from tests.support.failing_server import FailingServer


class NamedServer:
    def __init__(self, name, fault=None, status=None):
        self.name, self.fault, self.status, self.is_closed = name, fault, status, False
        self.asked, self.now, self.most = 0, 0, 0

    async def answer(self, seconds=0.001):
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
            if self.fault:
                raise ModelServerError(self.fault, self.status)
            return self.name
        finally:
            self.now -= 1

    async def traits(self, anew=False):
        return ServerTraits(True)

    async def close(self):
        self.is_closed = True


def answers(servers, count, at_a_time, ask=NamedServer.answer):
    async def all_of_them():
        waiting, found = iter(range(count)), []

        async def work():
            for _ in waiting:
                found.append(await pool.answered(ask))

        named = {server.name: server for server in servers}
        async with ServerPool(named) as pool, asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(work())
        return found

    return asyncio.run(all_of_them())


def test_no_server_has_more_in_work_than_its_share():
    servers = [NamedServer(name) for name in "abc"]
    assert len(answers(servers, 60, 12)) == 60
    assert [server.most for server in servers] == [4, 4, 4]
    assert all(server.is_closed for server in servers)


def test_a_slow_server_gets_fewer():
    slow, fast = servers = [NamedServer("slow"), NamedServer("fast")]

    async def ask(server):
        return await server.answer(0.2 if server is slow else 0.001)

    answers(servers, 60, 4, ask)
    assert slow.asked < fast.asked


# What is wrong with a server, and not with what it was asked.
SERVER_FAULTS = [
    *((fault, None) for fault in Fault if fault not in (Fault.STATUS, Fault.THOUGHT_ONLY)),
    *((Fault.STATUS, status) for status in (307, 401, 403, 404, 408, 429, 500, 502, 503)),
]


@pytest.mark.parametrize(("fault", "status"), SERVER_FAULTS)
def test_what_a_server_that_fails_was_asked_is_asked_of_another(fault, status):
    failing, there = servers = [NamedServer("failing", fault, status), NamedServer("there")]
    assert Counter(answers(servers, 40, 4)) == {"there": 40}
    assert failing.asked <= 4  # those that were on their way when the first one failed


def test_a_server_that_fails_at_once_does_not_swallow_the_run():
    failing, slow = servers = [NamedServer("failing", Fault.STATUS, 404), NamedServer("slow")]

    async def ask(server):
        return await server.answer(0.0 if server is failing else 0.02)

    assert Counter(answers(servers, 200, 32, ask)) == {"slow": 200}
    assert failing.asked <= 32


def test_after_its_rest_one_answer_at_a_time_tries_a_server(monkeypatch):
    monkeypatch.setattr(server_pool, "_REST_S", 0.0)
    failing, there = servers = [NamedServer("failing", Fault.TIMEOUT), NamedServer("there")]
    tried_at_a_time = []

    async def ask(server):
        if server is failing and failing.asked >= 8:  # those that were there before it failed
            tried_at_a_time.append(failing.now + 1)
        return await server.answer()

    assert Counter(answers(servers, 100, 16, ask)) == {"there": 100}
    assert tried_at_a_time and max(tried_at_a_time) <= 1


def test_a_server_that_came_back_is_asked_again(monkeypatch):
    monkeypatch.setattr(server_pool, "_REST_S", 0.0)
    back, there = servers = [NamedServer("back", Fault.UNREACHABLE), NamedServer("there")]

    async def ask(server):
        if back.asked == 3:
            back.fault = None
        return await server.answer()

    assert "back" in answers(servers, 20, 1, ask)


@pytest.mark.parametrize(
    ("faults", "asked", "says"),
    [
        ([(Fault.UNREACHABLE, None), (Fault.STATUS, 503)], [1, 1], "b: .* status 503"),
        ([(Fault.STATUS, 404), (Fault.TIMEOUT, None)], [1, 1], "b: .* in time"),
        ([(Fault.STATUS, 400), (None, None)], [1, 0], "a: .* status 400"),
        ([(Fault.STATUS, 413), (None, None)], [1, 0], "a: .* status 413"),
        ([(Fault.STATUS, 422), (None, None)], [1, 0], "a: .* status 422"),
        ([(Fault.THOUGHT_ONLY, None), (None, None)], [1, 0], "a: .* thought"),
    ],
)
def test_a_fault_that_another_server_does_not_mend_is_raised(faults, asked, says):
    servers = [NamedServer(name, *fault) for name, fault in zip("ab", faults, strict=True)]
    with pytest.raises(ExceptionGroup) as raised:
        answers(servers, 1, 1)
    with pytest.raises(ModelServerError, match=says):
        raise raised.value.exceptions[0]
    assert [server.asked for server in servers] == asked
    assert all(server.is_closed for server in servers)


def test_what_one_prompt_did_does_not_make_a_server_rest():
    refusing, there = servers = [NamedServer("refusing"), NamedServer("there")]

    async def ask(server):
        if refusing.asked == 2:
            refusing.fault, refusing.status = Fault.STATUS, 400
        elif refusing.asked == 3:
            refusing.fault = refusing.status = None
        try:
            return await server.answer()
        except ModelServerError as error:
            assert error.is_about_prompt
            raise

    async def one_after_the_other():
        async with ServerPool({"refusing": refusing, "there": there}) as pool:
            for _ in range(6):
                with contextlib.suppress(ModelServerError):
                    await pool.answered(ask)

    asyncio.run(one_after_the_other())
    assert [server.asked for server in servers] == [6, 0]


ALWAYS = Thinking(switch=None)


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({}, {"gives_logprobs": False}, "a gives log-probabilities, b does not; give --upstream"),
        ({"gives_logprobs": False}, {}, "b gives log-probabilities, a does not"),
        ({"thinking": Thinking()}, {}, "a thinks, b does not"),
        ({}, {"thinking": ALWAYS}, "b thinks whatever it is told, a does not"),
        ({"thinking": Thinking()}, {"thinking": ALWAYS}, "b thinks whatever it is told, a does"),
    ],
)
def test_servers_that_differ_are_refused_at_the_start_and_later(one, other, says):
    async def checked():
        async with ServerPool({"a": FailingServer(**one), "b": FailingServer(**other)}) as pool:
            await pool.check_alike()

    with pytest.raises(ECSOInputError, match=says):
        run_together(checked())

    async def answered(late):
        async with ServerPool({"a": FailingServer(**one), "b": late}) as pool:
            await pool.check_alike()  # b cannot be asked yet
            late.fault = None
            pool._members[0]._rests_until = math.inf
            pool._members[1]._rests_until = 0.0
            for _ in range(2):
                with pytest.raises(ECSOInputError, match=says):
                    await pool.answered(lambda server: server.complete([], {}))

    asyncio.run(answered(FailingServer(Fault.UNREACHABLE, **other)))


def test_servers_that_are_alike_or_alone_or_gone_are_not_refused(monkeypatch):
    monkeypatch.setattr(server_pool, "_CHECK_S", 0.05)
    silent = FailingServer(gives_logprobs=False, seconds=3600.0)

    async def check(**servers):
        async with ServerPool(servers) as pool:
            await pool.check_alike()

    asyncio.run(check(a=FailingServer(), b=FailingServer()))
    asyncio.run(check(a=FailingServer(gives_logprobs=False), b=FailingServer(gives_logprobs=False)))
    asyncio.run(check(a=FailingServer(gives_logprobs=False)))
    asyncio.run(check(a=FailingServer(), b=FailingServer(Fault.UNREACHABLE)))
    asyncio.run(check(a=FailingServer(), b=silent))


def test_an_error_names_the_server_and_no_password(monkeypatch):
    url = "http://me:secret@127.0.0.1:9/v1?key=secret"

    async def ask():
        async with pool_of([url], "scripted")() as pool:
            await pool.answered(lambda server: server.complete([], {}))

    with pytest.raises(ModelServerError) as raised:
        asyncio.run(ask())
    assert str(raised.value).startswith("http://127.0.0.1:9/v1: the model server could not be")
    assert "secret" not in str(raised.value)


def test_a_connection_has_a_time_limit_of_its_own(monkeypatch):
    limits = []

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request):
            limits.append(request.extensions["timeout"])
            raise httpx2.ConnectTimeout("late")

    async def ask(**limits):
        server = OpenAIServer(
            "http://server/v1", "m", timeout_s=600.0, retries=0, transport=Transport(), **limits
        )
        with contextlib.suppress(ModelServerError):
            await server.complete([], {})
        await server.close()

    asyncio.run(ask(connect_timeout_s=10.0))
    asyncio.run(ask())
    assert [limit["connect"] for limit in limits] == [10.0, 600.0]
    assert [limit["read"] for limit in limits] == [600.0, 600.0]

    asked = []
    monkeypatch.setattr(openai_server, "OpenAIServer", lambda *_, **said: asked.append(said))
    pool_of(["http://127.0.0.1:9/v1"], "scripted")()
    assert asked[0]["connect_timeout_s"] == 10.0 and asked[0]["timeout_s"] == 600.0


def test_a_url_that_is_none_and_a_missing_library_are_one_line(monkeypatch):
    with pytest.raises(ECSOInputError, match="--upstream 'nowhere' is no URL"):
        pool_of(["http://127.0.0.1:9/v1", "nowhere"], "scripted")
    monkeypatch.setattr(server_pool.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ECSOInputError, match="--upstream needs openai; install it with"):
        pool_of(["http://127.0.0.1:9/v1"], "scripted")
