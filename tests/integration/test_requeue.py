"""requeue: a failed or cancelled task comes back with fresh budgets; its attempt number goes on."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.errors import TaskNotFound
from taskq.queue.queue import Queue
from taskq.task import Attempt, Priority, Status
from tests.integration.steps import DETAIL, claim, enqueued, entries, joined, members, reap, record, snapshot, started


def failed(queue: Queue, **fields: Any) -> Attempt:
    worker = joined(queue)
    attempt = started(queue, worker, **fields)
    queue.fail(worker, attempt, "boom", DETAIL)
    return attempt


def test_a_failed_task_is_pending_again_behind_those_that_wait(queue: Queue) -> None:
    attempt = failed(queue)
    waiting = enqueued(queue)

    had = queue.requeue(attempt.id)

    assert had is Status.FAILED
    assert entries(queue, queue.keys.pending) == [waiting, attempt.id]
    assert members(queue, queue.keys.failed) == []


def test_a_cancelled_task_is_pending_again(queue: Queue) -> None:
    task_id = enqueued(queue)
    queue.cancel(task_id, "too early")

    had = queue.requeue(task_id)

    assert had is Status.CANCELLED
    assert entries(queue, queue.keys.pending) == [task_id]
    assert members(queue, queue.keys.cancelled) == []
    assert {"cancel_reason", "cancel_at", "finished_at"}.isdisjoint(record(queue, task_id))


def test_requeue_renews_the_budgets_and_not_the_attempt(queue: Queue) -> None:
    task_id = enqueued(queue)
    for _ in range(2):
        worker = joined(queue)
        claim(queue, worker)
        reap(queue, worker)
    worker = joined(queue)
    queue.retry(worker, claim(queue, worker), 0, "boom", DETAIL)
    queue.promote()
    queue.fail(worker, claim(queue, worker), "boom", DETAIL)

    queue.requeue(task_id)

    again = claim(queue, worker)
    assert (again.attempt, again.retries, again.crashes) == (5, 0, 0)


def test_requeue_with_a_delay_schedules_the_task(queue: Queue) -> None:
    attempt = failed(queue)

    queue.requeue(attempt.id, 60)

    stored = record(queue, attempt.id)
    assert stored["status"] == "scheduled"
    assert int(stored["run_at"]) == int(stored["updated_at"]) + 60_000
    assert members(queue, queue.keys.scheduled) == [attempt.id]


def test_a_requeued_task_of_another_priority_rings(queue: Queue) -> None:
    attempt = failed(queue, priority=Priority.LOW)
    queue.link.redis.delete(queue.keys.pending)

    queue.requeue(attempt.id)

    assert entries(queue, queue.keys.low) == [attempt.id]
    assert entries(queue, queue.keys.pending) == ["!"]


def test_a_repeated_requeue_puts_the_task_into_its_queue_once(queue: Queue) -> None:
    attempt = failed(queue)
    queue.requeue(attempt.id)
    before = snapshot(queue)

    had = queue.requeue(attempt.id)

    assert had is Status.PENDING
    assert snapshot(queue) == before


def test_an_unknown_task_cannot_be_requeued(queue: Queue) -> None:
    with pytest.raises(TaskNotFound, match="task not found"):
        queue.requeue("no-such-task")


def test_an_unreadable_task_cannot_be_requeued(queue: Queue) -> None:
    queue.link.redis.set(queue.keys.task("odd"), "not a hash")

    with pytest.raises(TaskNotFound):
        queue.requeue("odd")
