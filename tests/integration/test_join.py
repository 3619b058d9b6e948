"""join and leave: a worker is known from its first lease to its end."""

from __future__ import annotations

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Status
from tests.integration.steps import (
    LEASE_S,
    MIB,
    PAUSE_S,
    enqueued,
    joined,
    lapse,
    lease_ms,
    moved,
    new,
    reap,
    snapshot,
    started,
)


def test_join_grants_a_lease_and_tells_where_the_worker_runs(queue: Queue, inspector: Inspector) -> None:
    queue.join("w", LEASE_S, b'{"host": "here", "pid": 7}')

    assert LEASE_S * 1000 - 2000 < lease_ms(queue, "w") <= LEASE_S * 1000
    assert inspector.worker_infos("default") == {"w": {"host": "here", "pid": 7}}


def test_join_makes_a_queue_known_that_never_took_a_task(queue: Queue, inspector: Inspector) -> None:
    joined(queue)

    assert inspector.queue_names() == ["default"]


def test_a_repeated_join_prolongs_nothing(queue: Queue) -> None:
    queue.join("w", LEASE_S, b"{}")
    before = snapshot(queue)

    queue.join("w", 10 * LEASE_S, b"{}")

    assert snapshot(queue) == before


def test_a_join_does_not_revive_a_lapsed_lease(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker)

    queue.join(worker, LEASE_S, b"{}")

    assert lease_ms(queue, worker) < 0


def test_leave_forgets_a_worker_that_holds_nothing(queue: Queue) -> None:
    queue.announce()
    before = snapshot(queue, but=[queue.keys.stats, queue.keys.reaper])
    worker = joined(queue)
    queue.extend({worker: MIB}, LEASE_S, PAUSE_S)
    queue.cancel(started(queue, worker).id)
    queue.trim(Status.CANCELLED, 0)

    forgotten = queue.leave(worker)

    assert forgotten
    assert snapshot(queue, but=[queue.keys.stats, queue.keys.reaper]) == before


def test_leave_keeps_a_worker_known_that_still_holds_something(queue: Queue) -> None:
    worker = joined(queue)
    enqueued(queue)
    moved(queue, worker)
    before = snapshot(queue)

    forgotten = queue.leave(worker)

    assert not forgotten
    assert snapshot(queue) == before


def test_a_worker_can_leave_after_a_reap_took_what_it_held(queue: Queue) -> None:
    worker = joined(queue)
    started(queue, worker)

    reap(queue, worker)

    assert queue.leave(worker)


def test_a_repeated_leave_is_harmless(queue: Queue) -> None:
    worker = joined(queue)
    queue.leave(worker)

    assert queue.leave(worker)


def test_workers_come_and_go_without_a_trace(queue: Queue) -> None:
    queue.enqueue(new(delay_s=600))
    before = snapshot(queue)

    for _ in range(3):
        queue.leave(joined(queue))

    assert snapshot(queue) == before
