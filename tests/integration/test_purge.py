"""Purge: what waits is gone for good, what runs goes on."""

from __future__ import annotations

import pytest

from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.queue import BATCH, Queue
from taskq.task import Priority, Status
from tests.integration.steps import DETAIL, claim, enqueued, joined, new, snapshot, started, status


@pytest.mark.parametrize("paused", [False, True])
def test_everything_that_waits_is_removed_and_counted(queue: Queue, inspector: Inspector, paused: bool) -> None:
    worker = joined(queue)
    running = started(queue, worker)
    queue.enqueue_many([new(priority=priority) for _ in range(150) for priority in Priority])
    queue.enqueue_many([new(delay_s=60) for _ in range(250)])
    if paused:
        gate.pause(queue)

    assert gate.purge(queue) == 700

    counts = inspector.state("default").counts
    assert {state: count for state, count in counts.items() if count} == {Status.PROCESSING: 1}
    assert [task.id for task in inspector.page(limit=10).tasks] == [running.id]
    assert queue.complete(worker, running, b"1")[0] == "ok"


def test_a_task_that_waits_for_its_next_attempt_is_removed_too(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.retry(worker, attempt, 30, "boom", DETAIL)

    assert gate.purge(queue) == 1

    assert status(queue, attempt.id) is None


def test_tasks_that_have_ended_stay(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")
    queue.link.redis.rpush(queue.keys.pending, attempt.id)  # an entry without a reason

    assert gate.purge(queue) == 0

    assert status(queue, attempt.id) is Status.COMPLETED
    assert queue.claim(worker) is None


def test_a_record_that_cannot_be_read_is_removed(queue: Queue, inspector: Inspector) -> None:
    task_id = enqueued(queue)
    queue.link.redis.delete(queue.keys.task(task_id))
    queue.link.redis.set(queue.keys.task(task_id), "not a hash")

    assert gate.purge(queue) == 1

    assert inspector.locate(task_id) is None
    assert inspector.page(limit=10).tasks == []


def test_an_empty_queue_stays_as_it_is(queue: Queue) -> None:
    joined(queue)
    before = snapshot(queue)

    assert gate.purge(queue) == 0

    assert snapshot(queue) == before


def test_bells_are_no_tasks_and_the_queue_works_on(queue: Queue) -> None:
    for _ in range(3):
        enqueued(queue, priority=Priority.HIGH)

    assert gate.purge(queue) == 3

    worker = joined(queue)
    later = enqueued(queue, priority=Priority.LOW)
    assert claim(queue, worker).id == later


def test_a_purge_ends_although_others_go_on_to_enqueue(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue_many([new() for _ in range(500)])
    run = gate._run

    def run_while_others_enqueue(*args: object) -> object:
        queue.enqueue_many([new() for _ in range(BATCH)])
        return run(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(gate, "_run", run_while_others_enqueue)

    removed = gate.purge(queue)

    assert 500 <= removed <= 2 * (500 + BATCH) + BATCH
