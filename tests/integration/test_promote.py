"""promote: what is due becomes pending, in batches."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.queue.queue import BATCH, Queue
from taskq.task import Priority, Status
from tests.integration.steps import (
    DETAIL,
    claim,
    enqueued,
    entries,
    joined,
    members,
    new,
    now_ms,
    record,
    snapshot,
    started,
    status,
)


def due(queue: Queue, count: int = 1, **fields: Any) -> list[str]:
    """Tasks that are scheduled and became due one after the other, a while ago."""
    tasks = [new(delay_s=60, **fields) for _ in range(count)]
    queue.enqueue_many(tasks)
    past = now_ms(queue) - 100_000
    queue.link.redis.zadd(queue.keys.scheduled, {task.id: past + i for i, task in enumerate(tasks)})
    return [task.id for task in tasks]


def test_a_due_task_becomes_pending(queue: Queue) -> None:
    (task_id,) = due(queue)

    answer = queue.promote()

    stored = record(queue, task_id)
    assert answer == (1, None)
    assert stored["status"] == "pending"
    assert stored["ready_at"] == stored["updated_at"]
    assert "run_at" not in stored
    assert members(queue, queue.keys.scheduled) == []


def test_tasks_are_promoted_in_the_order_in_which_they_became_due(queue: Queue) -> None:
    ids = due(queue, 5)

    queue.promote()

    assert entries(queue, queue.keys.pending) == ids


def test_a_promoted_task_goes_behind_those_that_wait(queue: Queue) -> None:
    (task_id,) = due(queue)
    waiting = enqueued(queue)

    queue.promote()

    assert entries(queue, queue.keys.pending) == [waiting, task_id]


def test_a_task_that_is_not_due_stays_and_promote_says_when_it_will_be(queue: Queue) -> None:
    task_id = enqueued(queue, delay_s=60)
    before = snapshot(queue)

    moved, next_s = queue.promote()

    assert moved == 0
    assert next_s is not None
    assert 55 < next_s <= 60
    assert snapshot(queue) == before
    assert members(queue, queue.keys.scheduled) == [task_id]


def test_nothing_is_due_in_an_empty_queue(queue: Queue) -> None:
    assert queue.promote() == (0, None)


def test_promote_moves_a_bounded_number_of_tasks_and_says_that_more_are_due(queue: Queue) -> None:
    ids = due(queue, 2 * BATCH + 50)

    answers = [queue.promote() for _ in range(4)]

    assert answers == [(BATCH, 0), (BATCH, 0), (50, None), (0, None)]
    assert entries(queue, queue.keys.pending) == ids


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW])
def test_a_promoted_task_of_another_priority_rings(queue: Queue, priority: Priority) -> None:
    (task_id,) = due(queue, priority=priority)

    queue.promote()

    assert entries(queue, queue.keys.high if priority is Priority.HIGH else queue.keys.low) == [task_id]
    assert entries(queue, queue.keys.pending) == ["!"]


def test_a_promoted_retry_keeps_its_counters(queue: Queue) -> None:
    worker = joined(queue)
    queue.retry(worker, started(queue, worker), 0, "boom", DETAIL)

    queue.promote()

    again = claim(queue, worker)
    assert (again.attempt, again.retries) == (2, 1)


def test_an_entry_whose_task_is_not_scheduled_is_dropped(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")
    queue.link.redis.zadd(queue.keys.scheduled, {attempt.id: 1, "no-such-task": 2})

    queue.promote()

    assert status(queue, attempt.id) is Status.COMPLETED
    assert entries(queue, queue.keys.pending) == []
    assert members(queue, queue.keys.scheduled) == []


def test_an_unreadable_record_does_not_keep_promote_from_the_others(queue: Queue) -> None:
    bad, good = due(queue, 2)
    queue.link.redis.delete(queue.keys.task(bad))
    queue.link.redis.set(queue.keys.task(bad), "not a hash")

    queue.promote()

    assert entries(queue, queue.keys.pending) == [good]
