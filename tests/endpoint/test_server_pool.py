"""Several model servers as one: the least busy is asked, one that is gone is passed by."""

import asyncio
from collections import Counter

import pytest

from modeling_ecso.endpoint import server_pool
from modeling_ecso.endpoint.model_server import Fault, ModelServerError
from modeling_ecso.endpoint.server_pool import ServerPool, pool_of
from modeling_ecso.errors_ecso import ECSOInputError


class NamedServer:
    def __init__(self, name, fault=None):
        self.name, self.fault, self.is_closed = name, fault, False
        self.asked, self.now, self.most = 0, 0, 0

    async def answer(self, seconds=0.001):
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
            if self.fault:
                raise ModelServerError(self.fault)
            return self.name
        finally:
            self.now -= 1

    async def close(self):
        self.is_closed = True


def answers(servers, count, at_a_time, ask=NamedServer.answer):
    async def all_of_them():
        waiting, found = iter(range(count)), []

        async def work():
            for _ in waiting:
                found.append(await pool.answered(ask))

        async with ServerPool(servers) as pool, asyncio.TaskGroup() as group:
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


def test_what_a_server_that_is_gone_was_asked_is_asked_of_another():
    gone, there = servers = [NamedServer("gone", Fault.UNREACHABLE), NamedServer("there")]
    assert Counter(answers(servers, 40, 4)) == {"there": 40}
    assert gone.asked <= 4  # those that were on their way when the first one failed


def test_a_server_that_came_back_is_asked_again(monkeypatch):
    monkeypatch.setattr(server_pool, "_REST_S", 0.0)
    back, there = servers = [NamedServer("back", Fault.UNREACHABLE), NamedServer("there")]

    async def ask(server):
        if back.asked == 3:
            back.fault = None
        return await server.answer()

    assert "back" in answers(servers, 20, 1, ask)


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        ([Fault.UNREACHABLE, Fault.UNREACHABLE], [1, 1]),
        ([Fault.STATUS, None], [1, 0]),  # the other one would say the same
    ],
)
def test_a_fault_that_another_server_does_not_mend_is_raised(faults, asked):
    servers = [NamedServer(name, fault) for name, fault in zip("ab", faults, strict=True)]
    with pytest.raises(ExceptionGroup) as raised:
        answers(servers, 1, 1)
    assert isinstance(raised.value.exceptions[0], ModelServerError)
    assert [server.asked for server in servers] == asked
    assert all(server.is_closed for server in servers)


def test_a_url_that_is_none_and_a_missing_library_are_one_line(monkeypatch):
    with pytest.raises(ECSOInputError, match="--upstream 'nowhere' is no URL"):
        pool_of(["http://127.0.0.1:9/v1", "nowhere"], "scripted")
    monkeypatch.setattr(server_pool.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ECSOInputError, match="--upstream needs openai; install it with"):
        pool_of(["http://127.0.0.1:9/v1"], "scripted")
