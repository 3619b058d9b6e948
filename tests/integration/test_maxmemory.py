"""A full Redis takes nothing new, and everything that was taken still ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskq.errors import QueueFull
from taskq.queue.connection import Link
from taskq.queue.ending import end_of
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Priority, Progress, Status, Verdict
from tests.integration.servers import OwnServer, own_server
from tests.integration.steps import (
    DETAIL,
    EVERY_SETTLE,
    LEASE_S,
    MIB,
    PAUSE_S,
    claim,
    enqueued,
    joined,
    lapse,
    lease_ms,
    new,
    printed,
    reap,
    snapshot,
    started,
    status,
    tell,
)


@pytest.fixture(scope="module")
def small_server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def queue(small_server: OwnServer, prefix: str) -> Iterator[Queue]:
    link = Link(small_server.url)
    yield Queue(link, prefix=prefix)
    small_server.set(maxmemory="0")
    link.close()


@pytest.fixture
def fill(small_server: OwnServer) -> Callable[[], None]:
    """Makes the server full."""
    return lambda: small_server.set(maxmemory="1")


def test_an_enqueue_is_refused_and_stores_nothing(queue: Queue, fill: Callable[[], None]) -> None:
    enqueued(queue)
    fill()
    before = snapshot(queue)

    with pytest.raises(QueueFull, match="Redis is at maxmemory; raise maxmemory or wait until tasks have ended"):
        queue.enqueue_many([new(), new()])

    assert snapshot(queue) == before


def test_a_requeue_is_refused_and_changes_nothing(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.fail(worker, attempt, "boom", DETAIL)
    fill()
    before = snapshot(queue)

    with pytest.raises(QueueFull):
        queue.requeue(attempt.id)

    assert snapshot(queue) == before


@pytest.mark.parametrize("verb", EVERY_SETTLE)
def test_a_running_task_still_ends(queue: Queue, fill: Callable[[], None], verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    fill()

    assert EVERY_SETTLE[verb](queue, worker, attempt) is Verdict.OK


def test_the_end_of_a_task_can_still_be_waited_for(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    fill()
    assert end_of(queue, attempt.id, 0.1) is None

    queue.complete(worker, attempt, b"1")

    assert queue.link.block_pop(queue.keys.wake(attempt.id), 1)
    assert end_of(queue, attempt.id, 0) is not None


def test_leases_are_still_renewed(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    fill()

    assert queue.extend({worker: MIB}, 10 * LEASE_S, PAUSE_S) == []
    assert lease_ms(queue, worker) > LEASE_S * 1000


@pytest.mark.parametrize("priority", Priority)
def test_what_waits_is_still_claimed(queue: Queue, fill: Callable[[], None], priority: Priority) -> None:
    worker = joined(queue)
    task_id = enqueued(queue, priority=priority)
    fill()

    assert claim(queue, worker).id == task_id


def test_a_completing_worker_still_gets_its_next_task(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    enqueued(queue)
    fill()

    verdict, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert verdict is Verdict.OK
    assert following is not None


def test_an_idle_worker_still_starts_what_waits(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    fill()

    attempt = queue.wait(worker, 0.1)

    assert attempt is not None
    assert attempt.id == task_id


def test_an_idle_worker_is_told_that_it_cannot_wait(queue: Queue, fill: Callable[[], None]) -> None:
    worker = joined(queue)
    fill()

    with pytest.raises(QueueFull):
        queue.wait(worker, 0.1)


DUTIES: dict[str, Callable[[Queue, str], Any]] = {
    "lapsed": lambda queue, worker: queue.lapsed(PAUSE_S),
    "reap": reap,
    "promote": lambda queue, worker: queue.promote(),
    "trim": lambda queue, worker: queue.trim(Status.COMPLETED, 0),
    "stops": lambda queue, worker: queue.stops([worker]),
    "stop_done": lambda queue, worker: queue.stop_done(worker),
    "leave": lambda queue, worker: queue.leave(worker),
}


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
def test_maintenance_goes_on(queue: Queue, fill: Callable[[], None], duty: Callable[[Queue, str], Any]) -> None:
    worker = joined(queue)
    started(queue, worker)
    enqueued(queue)
    lapse(queue, worker)
    fill()

    duty(queue, worker)


def test_a_task_can_be_cancelled_and_deleted(queue: Queue, fill: Callable[[], None]) -> None:
    first, second = enqueued(queue), enqueued(queue)
    fill()

    queue.cancel(first)
    queue.delete(second)

    assert status(queue, first) is Status.CANCELLED
    assert status(queue, second) is None


def test_a_worker_that_replaces_a_dead_one_can_join(queue: Queue, fill: Callable[[], None], prefix: str) -> None:
    task_id = enqueued(queue)
    fill()
    as_in_a_new_process = Queue(queue.link, prefix=prefix)

    worker = joined(as_in_a_new_process)

    assert claim(as_in_a_new_process, worker).id == task_id


def test_maintenance_that_was_restarted_can_make_its_queues_known(
    queue: Queue, fill: Callable[[], None], prefix: str
) -> None:
    enqueued(queue)
    fill()

    Inspector(queue.link, prefix=prefix).queue("default").announce()

    assert Inspector(queue.link, prefix=prefix).queue_names() == ["default"]


def test_new_tasks_are_taken_again_once_there_is_room(
    queue: Queue, fill: Callable[[], None], small_server: OwnServer
) -> None:
    fill()
    with pytest.raises(QueueFull):
        enqueued(queue)

    small_server.set(maxmemory="0")

    assert status(queue, enqueued(queue)) is Status.PENDING


@pytest.mark.parametrize(
    "report",
    [
        lambda queue, worker, attempt: tell(queue, worker, attempt, Progress(1)),
        lambda queue, worker, attempt: printed(queue, worker, attempt, b"text"),
    ],
    ids=["progress", "output"],
)
def test_what_only_informs_is_refused_and_stores_nothing(
    queue: Queue, fill: Callable[[], None], report: Callable[..., object]
) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    fill()
    before = snapshot(queue)

    with pytest.raises(QueueFull):
        report(queue, worker, attempt)
    assert snapshot(queue) == before
