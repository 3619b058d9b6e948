"""What each error of Redis means, and how often a command is repeated."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from taskq.errors import QueueFull, QueueRefused, QueueUnavailable
from taskq.queue import connection
from taskq.queue.connection import Trouble, classify, translate
from taskq.queue.scripts import load
from tests.integration.servers import OddServer, linked, own_server

REPLIES = {
    "LOADING Redis is loading the dataset in memory": Trouble.WAIT,
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": Trouble.WAIT,
    "CLUSTERDOWN The cluster is down": Trouble.WAIT,
    "CLUSTERDOWN Hash slot not served": Trouble.WAIT,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": Trouble.WAIT,
    "TRYAGAIN Multiple keys request during rehashing of slot": Trouble.WAIT,
    "MISCONF Errors writing to the AOF file: No space left on device": Trouble.WAIT,
    "NOREPLICAS Not enough good replicas to write.": Trouble.WAIT,
    "READONLY You can't write against a read only replica.": Trouble.RECONNECT,
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": Trouble.RECONNECT,
    "ERR max number of clients reached": Trouble.RECONNECT,
    "NOSCRIPT No matching script. Please use EVAL.": Trouble.RELOAD,
    "OOM command not allowed when used memory > 'maxmemory'.": Trouble.FULL,
    "NOAUTH Authentication required.": Trouble.REFUSED,
    "WRONGPASS invalid username-password pair or user is disabled.": Trouble.REFUSED,
    "NOPERM User u has no permissions to run the 'evalsha' command": Trouble.REFUSED,
    "WRONGTYPE Operation against a key holding the wrong kind of value": Trouble.REFUSED,
    "ERR unknown command 'BLMOVE'": Trouble.REFUSED,
    "ERR ACL failure in script: User u has no permissions to run the 'hset' command": Trouble.REFUSED,
}


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with OddServer() as server:
        yield server


@pytest.mark.parametrize(("reply", "trouble"), REPLIES.items(), ids=[reply.partition(" ")[0] for reply in REPLIES])
def test_every_reply_has_one_meaning(odd: OddServer, reply: str, trouble: Trouble) -> None:
    odd.reply = reply
    with linked(f"unix://{odd.path}") as link, pytest.raises(redis.RedisError) as raised:
        link.redis.get("x")

    assert classify(raised.value) is trouble


def test_a_script_runs_at_the_second_try_however_often_others_flush() -> None:
    script, over, flushes = load("announce"), threading.Event(), itertools.count()

    def flush() -> None:
        with server.client() as administrator:
            while not over.is_set():
                pipe = administrator.pipeline(transaction=False)
                for _ in range(20):
                    pipe.script_flush()
                pipe.execute()
                next(flushes)

    with own_server() as server, linked(server.url, patience_s=0) as link, ThreadPoolExecutor() as others:
        flushing = [others.submit(flush) for _ in range(2)]
        try:
            for number in range(300):
                assert link.script(script, ["queues"], [str(number)]) == 1
        finally:
            over.set()
        for future in flushing:
            future.result()
        assert next(flushes) > 10
        assert link.redis.info("commandstats")["cmdstat_script|load"]["calls"] > 100


def test_a_longer_wait_than_the_one_before_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_S", 0.2)
    with own_server() as server, linked(server.url) as link:
        assert link.block_move("from", "to", 0.01) is None
        assert link.block_move("from", "to", 0.6) is None


def test_a_script_that_may_not_be_loaded_is_refused_for_that_reason() -> None:
    with own_server() as server, linked(server.url) as link, server.client() as administrator:
        administrator.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-script|load"], keys=["*"])

        with pytest.raises(QueueRefused, match="script"):
            link.script(load("announce"), ["queues"], ["x"])


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection closed by server."),
        redis.TimeoutError("Timeout reading from socket"),
        redis.exceptions.MaxConnectionsError("Too many connections"),
        ConnectionResetError(104, "Connection reset by peer"),
        OSError(24, "Too many open files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_broken_connection_asks_for_a_new_one(error: Exception) -> None:
    assert classify(error) is Trouble.RECONNECT
    assert isinstance(translate(error), QueueUnavailable)


def test_what_redis_py_itself_refuses_is_not_waited_for() -> None:
    assert classify(redis.DataError("Invalid input of type: 'NoneType'")) is Trouble.REFUSED


def test_each_error_of_ours_says_what_to_do() -> None:
    refused = translate(redis.exceptions.NoPermissionError("no permissions"))
    full = translate(redis.exceptions.OutOfMemoryError("command not allowed"))
    away = translate(redis.ConnectionError("refused"))

    assert str(refused) == "Redis refused: no permissions; check user, password, database and rights in redis.url"
    assert str(full) == "Redis is at maxmemory; raise maxmemory or wait until tasks have ended"
    assert str(away) == "Redis is not reachable: refused"


# -- repetition


class Failing:
    """An action that fails so many times before it succeeds."""

    def __init__(self, times: float, error: Exception | None = None) -> None:
        self.calls = 0
        self.times = times
        self.error = error or redis.ConnectionError("gone")

    def __call__(self, client: redis.Redis) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "done"


def test_an_action_is_repeated_until_it_succeeds(redis_url: str) -> None:
    action = Failing(3)
    with linked(redis_url) as link:
        assert link.run(action) == "done"
    assert action.calls == 4


def test_an_outage_is_told_once_at_its_beginning_and_once_at_its_end(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="taskq")
    with linked(redis_url) as link:
        link.run(Failing(3))
        link.run(Failing(0))

    events = [getattr(record, "event", None) for record in caplog.records]
    assert events == ["queue.unavailable", "queue.recovered"]


def test_patience_ends(redis_url: str) -> None:
    action = Failing(float("inf"))
    began = time.monotonic()
    with linked(redis_url, patience_s=0.3) as link, pytest.raises(QueueUnavailable, match="Redis is not reachable: gone"):
        link.run(action)

    assert action.calls > 2
    assert time.monotonic() - began < 2


def test_without_patience_an_action_is_tried_once(redis_url: str) -> None:
    action = Failing(1)
    with linked(redis_url, patience_s=0) as link, pytest.raises(QueueUnavailable):
        link.run(action)

    assert action.calls == 1


def test_a_link_that_shall_give_up_does_not_use_its_patience(redis_url: str) -> None:
    action = Failing(float("inf"))
    endless = linked(redis_url, patience_s=float("inf"), give_up=lambda: action.calls >= 2)
    with endless as link, pytest.raises(QueueUnavailable):
        link.run(action)

    assert action.calls == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), QueueFull),
        (redis.exceptions.NoPermissionError("no permissions"), QueueRefused),
        (redis.exceptions.AuthenticationError("invalid password"), QueueRefused),
    ],
)
def test_what_waiting_does_not_cure_is_raised_at_once(redis_url: str, error: Exception, expected: type[Exception]) -> None:
    action = Failing(1, error)
    with linked(redis_url, patience_s=60) as link, pytest.raises(expected) as raised:
        link.run(action)

    assert action.calls == 1
    assert raised.value.__cause__ is error


def test_after_a_failure_the_next_try_uses_a_new_connection(redis_url: str) -> None:
    seen: list[int] = []

    def action(client: redis.Redis) -> None:
        seen.append(int(client.client_id()))
        if len(seen) < 3:
            raise redis.exceptions.ReadOnlyError("You can't write against a read only replica.")

    with linked(redis_url) as link:
        link.run(action)

    assert len(set(seen)) == 3


def test_a_lost_reply_is_not_repeated_behind_our_back(odd: OddServer) -> None:
    odd.reply = None
    odd.commands.clear()
    with linked(f"unix://{odd.path}", patience_s=0) as link:
        with pytest.raises(QueueUnavailable):
            link.run(lambda client: client.rpush("x", "y"))
        with pytest.raises(QueueUnavailable):
            link.block_move("x", "y", 1)

    assert odd.commands == ["RPUSH", "BLMOVE"]


def test_an_unknown_address_is_unavailable() -> None:
    with linked("unix:///nowhere/at/all.sock", patience_s=0) as link, pytest.raises(QueueUnavailable, match="not reachable"):
        link.run(lambda client: client.ping())
