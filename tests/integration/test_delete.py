"""delete: a task goes for good, whatever its state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskq.errors import TaskNotFound
from taskq.queue.answers import Stop
from taskq.queue.queue import Queue
from taskq.task import Priority, Status, Verdict
from tests.integration.steps import (
    DETAIL,
    EVERY_SETTLE,
    SETTLES,
    enqueued,
    entries,
    joined,
    members,
    moved,
    snapshot,
    started,
)


def ended(verb: str) -> Callable[[Queue], str]:
    def make(queue: Queue) -> str:
        worker = joined(queue)
        attempt = started(queue, worker)
        SETTLES[verb](queue, worker, attempt)
        return attempt.id

    return make


def cancelled(queue: Queue) -> str:
    task_id = enqueued(queue)
    queue.cancel(task_id)
    return task_id


STATES: dict[str, tuple[Callable[[Queue], str], Status]] = {
    "pending": (enqueued, Status.PENDING),
    "pending high": (lambda queue: enqueued(queue, priority=Priority.HIGH), Status.PENDING),
    "pending low": (lambda queue: enqueued(queue, priority=Priority.LOW), Status.PENDING),
    "scheduled": (lambda queue: enqueued(queue, delay_s=60), Status.SCHEDULED),
    "retried": (ended("retry"), Status.SCHEDULED),
    "completed": (ended("complete"), Status.COMPLETED),
    "failed": (ended("fail"), Status.FAILED),
    "cancelled": (cancelled, Status.CANCELLED),
}


@pytest.mark.parametrize(("make", "expected"), STATES.values(), ids=STATES)
def test_delete_removes_every_trace_of_a_task(queue: Queue, make: Callable[[Queue], str], expected: Status) -> None:
    joined(queue)
    task_id = make(queue)

    had = queue.delete(task_id)

    assert had is expected
    queue.link.redis.lrem(queue.keys.pending, 0, "!")
    left = set(snapshot(queue, but=[queue.keys.stats]))  # the queue's totals outlive its tasks
    assert left == {queue.keys.queues, queue.keys.leases, queue.keys.workers}
    assert task_id not in str(queue.link.hash(queue.keys.stats))


def test_delete_stops_a_running_task(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    had = queue.delete(attempt.id)

    assert had is Status.PROCESSING
    assert queue.stops([worker]) == [Stop(worker, attempt.id, 1, "deleted")]
    assert entries(queue, queue.keys.processing(worker)) == []
    assert members(queue, queue.keys.tasks) == []


@pytest.mark.parametrize("verb", EVERY_SETTLE)
def test_a_late_settle_does_not_bring_a_deleted_task_back(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.delete(attempt.id)
    before = snapshot(queue)

    assert EVERY_SETTLE[verb](queue, worker, attempt) is Verdict.STALE
    assert snapshot(queue) == before


def test_a_claim_of_a_deleted_task_is_dropped_by_its_worker(queue: Queue) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    moved(queue, worker)

    queue.delete(task_id)

    assert queue.claim(worker) is None
    assert entries(queue, queue.keys.processing(worker)) == []


def test_a_task_is_deleted_once(queue: Queue) -> None:
    task_id = enqueued(queue)
    queue.delete(task_id)

    with pytest.raises(TaskNotFound, match="task not found"):
        queue.delete(task_id)


def test_an_unreadable_record_can_be_deleted(queue: Queue) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    queue.link.redis.delete(queue.keys.task(task_id))
    queue.link.redis.set(queue.keys.task(task_id), "not a hash")
    queue.claim(worker)

    had = queue.delete(task_id)

    assert had is None
    assert members(queue, queue.keys.tasks) == []
    assert members(queue, queue.keys.unreadable) == []


def test_a_record_that_names_no_worker_can_be_deleted(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.link.redis.hdel(queue.keys.task(attempt.id), "worker_id")

    queue.delete(attempt.id)

    assert members(queue, queue.keys.tasks) == []


def test_a_deleted_retry_is_not_promoted(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.retry(worker, attempt, 0, "boom", DETAIL)

    queue.delete(attempt.id)

    assert queue.promote() == (0, None)


def test_a_claim_that_was_deleted_before_its_start_is_in_no_list(queue: Queue) -> None:
    joined(queue)
    worker = joined(queue)
    task_id = enqueued(queue)
    assert moved(queue, worker) == task_id

    queue.delete(task_id)

    assert entries(queue, queue.keys.processing(worker)) == []
