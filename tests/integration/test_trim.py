"""trim: what ended longer ago than it is kept goes, in batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskq.queue.queue import BATCH, Queue
from taskq.task import Status
from tests.integration.steps import DETAIL, claim, enqueued, joined, members, new, now_ms, snapshot, started, status


def completed(queue: Queue) -> str:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")
    return attempt.id


def failed(queue: Queue) -> str:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.fail(worker, attempt, "boom", DETAIL)
    return attempt.id


def cancelled(queue: Queue) -> str:
    task_id = enqueued(queue)
    queue.cancel(task_id)
    return task_id


ENDINGS = {Status.COMPLETED: completed, Status.FAILED: failed, Status.CANCELLED: cancelled}
every_ending = pytest.mark.parametrize(("ended", "make"), ENDINGS.items(), ids=ENDINGS)


@every_ending
def test_trim_removes_every_trace_of_a_task(queue: Queue, ended: Status, make: Callable[[Queue], str]) -> None:
    joined(queue)
    task_id = make(queue)

    removed = queue.trim(ended, 0)

    assert removed == 1
    left = set(snapshot(queue, but=[queue.keys.stats]))  # the queue's totals outlive its tasks
    assert left == {queue.keys.queues, queue.keys.leases, queue.keys.workers}
    assert task_id not in str(queue.link.hash(queue.keys.stats))


@every_ending
def test_trim_keeps_what_ended_within_the_time(queue: Queue, ended: Status, make: Callable[[Queue], str]) -> None:
    task_id = make(queue)
    before = snapshot(queue)

    assert queue.trim(ended, 60) == 0
    assert snapshot(queue) == before
    assert status(queue, task_id) is ended


def test_trim_of_one_status_leaves_the_others(queue: Queue) -> None:
    ids = {ended: make(queue) for ended, make in ENDINGS.items()}

    queue.trim(Status.FAILED, 0)

    assert status(queue, ids[Status.FAILED]) is None
    assert status(queue, ids[Status.COMPLETED]) is Status.COMPLETED
    assert status(queue, ids[Status.CANCELLED]) is Status.CANCELLED


def test_trim_spares_a_task_that_was_requeued(queue: Queue) -> None:
    task_id = failed(queue)
    queue.requeue(task_id)

    assert queue.trim(Status.FAILED, 0) == 0
    assert claim(queue, joined(queue)).id == task_id


def test_trim_removes_a_bounded_number_of_tasks_the_oldest_first(queue: Queue) -> None:
    tasks = [new() for _ in range(2 * BATCH + 50)]
    queue.enqueue_many(tasks)
    past = now_ms(queue) - 10_000
    queue.link.redis.zadd(queue.keys.completed, {task.id: past + i for i, task in enumerate(tasks)})

    removed = [queue.trim(Status.COMPLETED, 1), queue.trim(Status.COMPLETED, 1)]

    assert removed == [BATCH, BATCH]
    assert members(queue, queue.keys.completed) == [task.id for task in tasks[2 * BATCH :]]
    assert sorted(members(queue, queue.keys.tasks)) == sorted(task.id for task in tasks[2 * BATCH :])
    assert queue.trim(Status.COMPLETED, 1) == 50
