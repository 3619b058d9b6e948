"""Waits for a task that are ended early: nothing that the server hands out meanwhile is lost, and no connection either."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest

from taskq.errors import QueueUnavailable
from taskq.queue import connection
from taskq.queue.connection import COMMAND_TIMEOUT_S, Link
from taskq.queue.line import Line
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.supervisor.slots import Board
from taskq.worker import worker
from taskq.worker.alarm import Alarm
from taskq.worker.worker import STOP_SIGNAL, Worker
from tests.faultproxy import FaultProxy, RealServer
from tests.integration.servers import OwnServer, linked, own_server
from tests.integration.steps import joined, until

END_LIMIT_S = 20.0
BLOCK_S = 10 * END_LIMIT_S
"""Far beyond what any test here takes: a wait that nothing ends would be noticed."""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server() as made:
        yield made


@pytest.fixture
def administrator(server: OwnServer) -> Iterator[Any]:
    with closing(server.client()) as client:
        yield client
        client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"], keys=["*"], channels=["*"])


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    with closing(Alarm()) as made:
        yield made


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_S", 0.2)


@contextmanager
def waking(url: str, alarm: Alarm) -> Iterator[Link]:
    """A link whose waits the alarm ends."""
    with linked(url) as link:
        link.wake = alarm.fd
        yield link


def blocked(client: Any) -> list[str]:
    """The ids of the clients that the server holds in BLMOVE."""
    return [found["id"] for found in client.client_list() if found["cmd"] == "blmove" and "b" in found["flags"]]


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    """Begin `act` in a thread; the function returned waits for what it returns."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(act)
    pool.shutdown(wait=False)
    return lambda: future.result(END_LIMIT_S)


def test_a_wait_that_is_ended_early_leaves_nothing_behind_and_its_connection_in_use(
    server: OwnServer, administrator: Any, alarm: Alarm
) -> None:
    with waking(server.url, alarm) as link, ThreadPoolExecutor(1) as thread:
        ids = set()
        for _ in range(2):
            alarm.clear()
            waiting = thread.submit(link.block_move, "from", "to", BLOCK_S)
            until(lambda: blocked(administrator), "it waits")
            ids.update(blocked(administrator))
            alarm.set()
            assert waiting.result(END_LIMIT_S) is None

        assert (blocked(administrator), link.wait_was_cut, len(ids)) == ([], False, 1)


def test_a_wait_that_is_ended_before_it_begins_ends_at_once(server: OwnServer, administrator: Any, alarm: Alarm) -> None:
    alarm.set()
    with waking(server.url, alarm) as link:
        assert link.block_move("from", "to", BLOCK_S) is None
        assert (blocked(administrator), link.wait_was_cut) == ([], False)


def test_what_arrived_before_the_end_is_not_lost(server: OwnServer, administrator: Any, alarm: Alarm) -> None:
    alarm.set()
    administrator.delete("from", "to")
    administrator.rpush("from", "entry")
    with waking(server.url, alarm) as link:
        moved = [link.block_move("from", "to", BLOCK_S) for _ in range(2)]

    assert moved == [b"entry", None]
    assert administrator.lrange("to", 0, -1) == [b"entry"]


@pytest.mark.parametrize("forbidden", ["-client|unblock", "-client|id"])
@pytest.mark.usefixtures("short_timeouts")
def test_where_a_wait_may_not_be_ended_its_connection_is_dropped(
    server: OwnServer, administrator: Any, alarm: Alarm, forbidden: str
) -> None:
    administrator.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", forbidden], keys=["*"])
    with waking(server.url, alarm) as link, closing(server.client()) as other:
        result = in_thread(lambda: link.block_move("from", "to", BLOCK_S))
        until(lambda: other.info("clients")["blocked_clients"] == 1, "it waits")
        alarm.set()

        with pytest.raises(QueueUnavailable):
            result()
        assert link.wait_was_cut
        until(lambda: other.info("clients")["blocked_clients"] == 0, "the server has forgotten it")


@pytest.mark.usefixtures("short_timeouts")
def test_a_wait_is_ended_by_its_number_on_its_own_server_only(
    server: OwnServer, administrator: Any, alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_server() as another, waking(server.url, alarm) as link, linked(another.url) as failed_over:
        result = in_thread(lambda: link.block_move("from", "to", BLOCK_S))
        until(lambda: blocked(administrator), "it waits")
        monkeypatch.setattr(link, "_lines", failed_over._lines)
        alarm.set()

        with pytest.raises(QueueUnavailable):
            result()
        assert link.wait_was_cut
        with closing(another.client()) as client:
            assert "cmdstat_client|unblock" not in client.info("commandstats")


def test_a_command_that_reaches_the_server_after_the_order_to_end_is_ended_all_the_same(
    server: OwnServer, administrator: Any, alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, call = Line.ask, Line.call
    on_its_way: list[tuple[Any, ...]] = []
    orders: list[int] = []

    def call_and_let_it_arrive(line: Line, *words: Any) -> Any:
        reply = call(line, *words)
        if words[1] == "UNBLOCK":
            orders.append(reply)
            if len(orders) == 2:
                ask(*on_its_way.pop())
        return reply

    monkeypatch.setattr(Line, "ask", lambda *sent: on_its_way.append(sent))
    monkeypatch.setattr(Line, "call", call_and_let_it_arrive)
    alarm.set()
    with waking(server.url, alarm) as link:
        assert link.block_move("from", "to", BLOCK_S) is None

        assert orders[:2] == [0, 0]
        assert orders[-1] == 1
        assert not link.wait_was_cut


def test_the_kernel_asks_whether_the_machine_that_a_wait_is_for_is_still_there(alarm: Alarm) -> None:
    with RealServer() as real, FaultProxy(real.path) as proxy, waking(proxy.url, alarm) as link:
        assert link.block_move("from", "to", 0.01) is None

        waiting: Any = link._waiting
        option = waiting._connection._sock.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        silence_s = option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        silence_s += option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert silence_s <= 1 + COMMAND_TIMEOUT_S


def test_an_idle_worker_claims_once_for_each_wait(
    server: OwnServer, administrator: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BLOCK_S", 0.01)
    with linked(server.url) as link:
        queue, slot = Queue(link, prefix=prefix), Board(1).slot(0)
        worker_id = joined(queue)

        def child() -> None:
            os.setpgid(0, 0)
            Worker(worker_id, Queue(Link(server.url), prefix=prefix), Registry(), slot).run()

        def calls(command: str) -> int:
            return int(administrator.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])

        moves, claims = calls("blmove"), calls("evalsha")
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        until(lambda: calls("blmove") > moves + 20, "it has waited often")
        slot.order_drain()
        process.join(END_LIMIT_S)
        moves, claims = calls("blmove") - moves, calls("evalsha") - claims

        assert process.exitcode == 0
        assert moves <= claims <= 1.5 * moves


def test_an_idle_worker_that_shall_end_ends_when_it_is_told_and_takes_leave(
    server: OwnServer, administrator: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BLOCK_S", BLOCK_S)
    with linked(server.url) as link:
        queue, slot = Queue(link, prefix=prefix), Board(1).slot(0)
        worker_id = joined(queue)

        def child() -> None:
            os.setpgid(0, 0)
            Worker(worker_id, Queue(Link(server.url), prefix=prefix), Registry(), slot).run()

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        until(lambda: blocked(administrator), "it waits")
        slot.order_drain()
        os.kill(process.pid or 0, STOP_SIGNAL)
        process.join(END_LIMIT_S)

        assert process.exitcode == 0
        assert link.redis.zscore(queue.keys.leases, worker_id) is None
