"""Waiting for the end of a task: every end wakes, everyone who waits is woken, and who does not wait costs nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from taskq.errors import QueueUnavailable, TaskNotFound
from taskq.queue import ending
from taskq.queue.connection import Link
from taskq.queue.crash import crash
from taskq.queue.ending import end_of
from taskq.queue.gate import purge
from taskq.queue.queue import Queue
from taskq.task import Attempt, Status, Task
from tests.integration.servers import linked, own_server
from tests.integration.steps import DETAIL, claim, enqueued, joined, now_ms, reap, record, started, until

LONG_S = 10.0
SOON_S = 3.0
"""Far below LONG_S, so that nobody who merely timed out passes for one who was woken."""


def blocked(queue: Queue, count: int) -> Callable[[], bool]:
    """Whether so many clients wait at a list, on the server of this test run."""
    clients: Callable[[], Any] = lambda: queue.link.redis.info("clients")  # noqa: E731
    return lambda: int(clients()["blocked_clients"]) >= count


def in_background(pool: ThreadPoolExecutor, queue: Queue, task_id: str, count: int = 1) -> list[Future[Task | None]]:
    """So many threads that wait for the end of the task, all of them blocked by now."""
    before = int(queue.link.redis.info("clients")["blocked_clients"])
    futures = [pool.submit(end_of, queue, task_id, LONG_S) for _ in range(count)]
    until(blocked(queue, before + count), "the threads wait")
    return futures


ENDS: dict[str, tuple[Callable[[Queue, str, Attempt], Any], Status]] = {
    "complete": (lambda queue, worker, attempt: queue.complete(worker, attempt, b'"done"'), Status.COMPLETED),
    "fail": (lambda queue, worker, attempt: queue.fail(worker, attempt, "boom", DETAIL), Status.FAILED),
    "cancel": (lambda queue, worker, attempt: queue.cancel(attempt.id), Status.CANCELLED),
    "crash of its own process": (
        lambda queue, worker, attempt: crash(queue, worker, attempt, max_crashes=1, error="boom", detail=DETAIL),
        Status.FAILED,
    ),
    "crash limit": (lambda queue, worker, attempt: reap(queue, worker, max_crashes=1), Status.FAILED),
}


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS)
def test_every_end_wakes_who_waits(queue: Queue, end: Callable[[Queue, str, Attempt], Any], status: Status) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, attempt.id)

        end(queue, worker, attempt)

        task = future.result(SOON_S)
    assert task is not None
    assert (task.id, task.status) == (attempt.id, status)


@pytest.mark.parametrize(
    "find", [lambda queue: queue.expire(), lambda queue: queue.claim(joined(queue))], ids=["expire", "claim"]
)
def test_a_task_that_expires_wakes_who_waits(queue: Queue, find: Callable[[Queue], Any]) -> None:
    task_id = enqueued(queue, expires_in_s=0.2)
    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, task_id)
        until(lambda: now_ms(queue) > int(record(queue, task_id)["expires_at"]), "it is overdue")

        find(queue)

        task = future.result(SOON_S)
    assert task is not None
    assert (task.status, task.error) == (Status.FAILED, "expired before it could start")


@pytest.mark.parametrize("remove", [Queue.delete, lambda queue, _: purge(queue)], ids=["delete", "purge"])
def test_a_task_that_is_removed_wakes_who_waits_and_is_not_found(queue: Queue, remove: Callable[[Queue, str], Any]) -> None:
    task_id = enqueued(queue)
    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, task_id)

        remove(queue, task_id)

        with pytest.raises(TaskNotFound):
            future.result(SOON_S)


def test_what_is_not_an_end_wakes_nobody_for_good(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, attempt.id)

        queue.retry(worker, attempt, 0, "boom", DETAIL)
        queue.promote()
        queue.release(worker, claim(queue, worker))
        assert not future.done()
        queue.complete(worker, claim(queue, worker), b"1")

        task = future.result(SOON_S)
    assert task is not None
    assert task.result == b"1"


def test_everyone_who_waits_is_woken(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    with ThreadPoolExecutor(20) as pool:
        futures = in_background(pool, queue, attempt.id, 20)

        queue.complete(worker, attempt, b'"done"')

        tasks = [future.result(SOON_S) for future in futures]
    assert {task.result for task in tasks if task} == {b'"done"'}


def test_a_task_that_has_ended_is_shown_at_once_as_often_as_asked(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b'"done"')

    for _ in range(3):
        task = end_of(queue, attempt.id, LONG_S)
        assert task is not None
        assert task.result == b'"done"'


def test_who_waits_in_vain_is_told_after_the_time_and_not_before(queue: Queue) -> None:
    task_id = enqueued(queue)
    began = time.monotonic()

    assert end_of(queue, task_id, 0.3) is None

    assert 0.29 <= time.monotonic() - began < 2
    assert end_of(queue, task_id, 0) is None


def test_a_task_that_does_not_exist_is_not_waited_for(queue: Queue) -> None:
    with pytest.raises(TaskNotFound):
        end_of(queue, "11111111-2222-4333-8444-555555555555", LONG_S)


def test_a_record_that_cannot_be_read_is_not_waited_for(queue: Queue) -> None:
    queue.link.redis.set(queue.keys.task("odd"), "not a hash")

    with pytest.raises(TaskNotFound):
        end_of(queue, "odd", LONG_S)


def test_a_task_that_nobody_waits_for_leaves_no_trace_of_waiting(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    queue.complete(worker, attempt, b"1")

    assert queue.link.redis.exists(queue.keys.wake(attempt.id)) == 0
    assert "awaited" not in record(queue, attempt.id)


def test_waiting_leaves_an_entry_that_expires_and_a_record_without_a_mark(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    assert end_of(queue, attempt.id, 0) is None

    queue.complete(worker, attempt, b"1")

    assert queue.link.redis.llen(queue.keys.wake(attempt.id)) == 1
    assert 0 < int(queue.link.redis.pttl(queue.keys.wake(attempt.id))) <= 60_000
    assert "awaited" not in record(queue, attempt.id)


def test_an_entry_of_an_earlier_end_does_not_pass_for_a_new_one(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    assert end_of(queue, attempt.id, 0) is None
    queue.fail(worker, attempt, "boom", DETAIL)
    queue.requeue(attempt.id)

    assert end_of(queue, attempt.id, 0.3) is None

    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, attempt.id)
        queue.complete(worker, claim(queue, worker), b"2")
        task = future.result(SOON_S)
    assert task is not None
    assert task.result == b"2"


def test_who_waits_is_told_although_the_entry_was_lost(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "RECHECK_S", 0.2)
    worker = joined(queue)
    attempt = started(queue, worker)
    assert end_of(queue, attempt.id, 0) is None
    queue.complete(worker, attempt, b"1")
    queue.link.redis.hset(queue.keys.task(attempt.id), "status", "processing")
    queue.link.redis.delete(queue.keys.wake(attempt.id))  # taken by somebody who died
    with ThreadPoolExecutor() as pool:
        (future,) = in_background(pool, queue, attempt.id)
        queue.link.redis.hset(queue.keys.task(attempt.id), "status", "completed")

        assert future.result(SOON_S) is not None


def test_a_connection_that_is_lost_while_waiting_costs_nothing_but_a_new_one(prefix: str) -> None:
    with own_server() as server, linked(server.url, patience_s=10) as link:
        queue = Queue(link, prefix=prefix)
        worker = joined(queue)
        attempt = started(queue, worker)
        with ThreadPoolExecutor() as pool:
            (future,) = in_background(pool, queue, attempt.id)
            server.client().client_kill_filter(_type="normal", skipme=True)
            until(blocked(queue, 1), "it waits again")

            queue.complete(worker, attempt, b"1")

            assert future.result(SOON_S) is not None


def test_without_a_server_waiting_ends_when_patience_does(prefix: str) -> None:
    with own_server() as server, linked(server.url, patience_s=0.2) as link:
        queue = Queue(link, prefix=prefix)
        task_id = enqueued(queue)
        with ThreadPoolExecutor() as pool:
            (future,) = in_background(pool, queue, task_id)

            server.kill()

            with pytest.raises(QueueUnavailable):
                future.result(LONG_S)


def test_a_child_waits_on_a_connection_of_its_own(link: Link, queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    assert end_of(queue, attempt.id, 0.01) is None
    before = int(link.redis.info("clients")["blocked_clients"])
    pid = os.fork()
    if pid == 0:
        found = end_of(queue, attempt.id, LONG_S)
        os._exit(0 if found is not None and found.result == b"1" else 1)
    until(blocked(queue, before + 1), "the child waits")

    queue.complete(worker, attempt, b"1")

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert end_of(queue, attempt.id, 0) is not None


def test_nobody_misses_an_end_that_comes_while_he_begins_to_wait(queue: Queue) -> None:
    worker = joined(queue)
    for _ in range(50):
        attempt = started(queue, worker)
        with ThreadPoolExecutor() as pool:
            future = pool.submit(end_of, queue, attempt.id, LONG_S)
            queue.complete(worker, attempt, b"1")
            task = future.result(SOON_S)
        assert task is not None
