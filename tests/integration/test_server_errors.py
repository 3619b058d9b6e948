"""A real server that refuses, fails over, dies and returns."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from taskq.errors import QueueFull, QueueRefused, QueueUnavailable
from taskq.queue.connection import Link, Trouble, classify
from taskq.queue.queue import Queue
from tests.integration.servers import OwnServer, linked, own_server
from tests.integration.steps import claim, enqueued, joined, until


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def administrator(server: OwnServer) -> Iterator[Any]:
    with contextlib.closing(server.client()) as client:
        yield client


@pytest.fixture
def own(server: OwnServer, prefix: str) -> Iterator[Queue]:
    with linked(server.url, patience_s=0) as link:
        yield Queue(link, prefix=prefix)


def as_user(server: OwnServer, password: str = "right", **options: Any) -> contextlib.AbstractContextManager[Link]:
    return linked(server.url.replace("unix://", f"unix://u:{password}@"), **options)


def test_a_wrong_password_is_refused_with_the_place_to_look(server: OwnServer, administrator: Any) -> None:
    administrator.execute_command("ACL", "SETUSER", "u", "reset", "on", ">right", "~*", "+@all")

    with as_user(server, "wrong", patience_s=60) as link, pytest.raises(QueueRefused) as raised:
        link.run(lambda client: client.ping())

    assert "invalid username-password pair or user is disabled" in str(raised.value)
    assert "check user, password, database and rights in redis.url" in str(raised.value)


@pytest.mark.parametrize("rights", ["-evalsha", "-hset", "resetkeys"])
def test_missing_rights_are_refused(server: OwnServer, administrator: Any, prefix: str, rights: str) -> None:
    administrator.execute_command("ACL", "SETUSER", "u", "reset", "on", ">right", "~*", "+@all", rights)

    with as_user(server, patience_s=60) as link, pytest.raises(QueueRefused):
        enqueued(Queue(link, prefix=prefix))


def test_an_unknown_digest_asks_for_the_script(administrator: Any) -> None:
    with pytest.raises(redis.RedisError) as raised:
        administrator.evalsha("0" * 40, 0)

    assert classify(raised.value) is Trouble.RELOAD


def test_a_blocking_move_that_is_refused_for_memory_is_full(server: OwnServer, own: Queue) -> None:
    server.set(maxmemory="1")
    try:
        with pytest.raises(QueueFull):
            own.link.block_move(own.keys.pending, own.keys.processing("w"), 1)
    finally:
        server.set(maxmemory="0")


@pytest.fixture
def replica(administrator: Any) -> Iterator[Callable[[], None]]:
    """Makes the server a replica, as a failover does; it is a primary again after the test."""
    yield lambda: administrator.execute_command("REPLICAOF", "127.0.0.1", "1")
    administrator.execute_command("REPLICAOF", "NO", "ONE")
    administrator.config_set("replica-serve-stale-data", "yes")


def test_writing_to_a_replica_is_unavailable_and_not_refused(own: Queue, replica: Callable[[], None]) -> None:
    worker = joined(own)
    enqueued(own)
    attempt = claim(own, worker)
    replica()

    for act in (
        lambda: own.complete(worker, attempt, b"1"),
        lambda: own.link.block_move(own.keys.pending, own.keys.processing(worker), 1),
        lambda: enqueued(own),
    ):
        with pytest.raises(QueueUnavailable):
            act()


def test_reading_from_a_replica_that_lost_its_primary_is_unavailable(
    own: Queue, administrator: Any, replica: Callable[[], None]
) -> None:
    administrator.config_set("replica-serve-stale-data", "no")
    replica()

    with pytest.raises(QueueUnavailable):
        own.link.run(lambda client: client.get("x"))


def test_too_few_replicas_are_waited_for(own: Queue, administrator: Any) -> None:
    administrator.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(QueueUnavailable, match="NOREPLICAS"):
            enqueued(own)
    finally:
        administrator.config_set("min-replicas-to-write", 0)


def test_a_worker_that_is_unblocked_waits_anew_on_a_new_connection(own: Queue, administrator: Any) -> None:
    worker = joined(own)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            own.link.block_move(own.keys.pending, own.keys.processing(worker), 30)
        except QueueUnavailable as error:
            failures.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(lambda: waiting(administrator), "it waits")
    administrator.execute_command("CLIENT", "UNBLOCK", waiting(administrator)[0], "ERROR")
    waiter.join(5)

    task_id = enqueued(own)
    assert "UNBLOCKED" in str(failures[0])
    attempt = own.wait(worker, 5)
    assert attempt is not None
    assert attempt.id == task_id


def waiting(client: Any) -> list[str]:
    """The ids of the clients that are blocked in BLMOVE."""
    return [c["id"] for c in client.client_list() if c["cmd"] == "blmove" and "b" in c["flags"]]


# -- outages


def test_a_link_finds_its_server_again_after_it_was_killed_and_restarted(prefix: str) -> None:
    with own_server() as server, linked(server.url, patience_s=10) as link:
        queue = Queue(link, prefix=prefix)
        enqueued(queue)
        server.kill()
        restart = threading.Timer(0.1, server.start)
        restart.start()

        task_id = enqueued(queue)

        restart.join()
        assert claim(queue, joined(queue)).id == task_id


def test_a_wait_ends_when_its_server_is_killed_and_works_again_afterwards(prefix: str) -> None:
    with own_server() as server, linked(server.url, patience_s=10) as link:
        queue = Queue(link, prefix=prefix)
        with contextlib.closing(server.client()) as client:
            waiter = threading.Thread(target=pytest.raises, args=(QueueUnavailable, link.block_move, "a", "b", 30))
            waiter.start()
            until(lambda: waiting(client), "it waits")
        server.kill()
        waiter.join(5)
        assert not waiter.is_alive()
        server.start()

        worker = joined(queue)
        task_id = enqueued(queue)
        attempt = queue.wait(worker, 5)

        assert attempt is not None
        assert attempt.id == task_id


def test_a_closed_link_leaves_no_connection_behind(server: OwnServer, administrator: Any) -> None:
    with linked(server.url) as link:
        link.run(lambda client: client.ping())
        link.block_move("a", "b", 0.01)
        assert sum(c["name"] == "taskq" for c in administrator.client_list()) == 2

    until(lambda: not any(c["name"] == "taskq" for c in administrator.client_list()), "both are gone")
