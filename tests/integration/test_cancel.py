"""cancel: a task that has not ended ends, for certain."""

from __future__ import annotations

import msgspec
import pytest

from taskq.errors import TaskNotFound
from taskq.queue.answers import Stop
from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, ErrorKind, Priority, Status, Verdict
from tests.integration.steps import (
    DETAIL,
    SETTLES,
    claim,
    enqueued,
    entries,
    joined,
    members,
    moved,
    reap,
    record,
    score,
    snapshot,
    started,
    status,
)


@pytest.mark.parametrize("priority", Priority)
def test_a_cancelled_pending_task_is_claimed_by_nobody(queue: Queue, priority: Priority) -> None:
    task_id = enqueued(queue, priority=priority)

    had = queue.cancel(task_id)

    assert had is Status.PENDING
    assert status(queue, task_id) is Status.CANCELLED
    assert entries(queue, queue.keys.high) + entries(queue, queue.keys.low) == []
    assert task_id not in entries(queue, queue.keys.pending)
    assert queue.claim(joined(queue)) is None


def test_a_cancelled_scheduled_task_is_never_promoted(queue: Queue) -> None:
    task_id = enqueued(queue, delay_s=60)

    had = queue.cancel(task_id)

    assert had is Status.SCHEDULED
    assert members(queue, queue.keys.scheduled) == []
    assert "run_at" not in record(queue, task_id)


def test_a_running_task_is_cancelled_at_once_and_its_worker_told(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    had = queue.cancel(attempt.id)

    assert had is Status.PROCESSING
    assert status(queue, attempt.id) is Status.CANCELLED
    assert entries(queue, queue.keys.processing(worker)) == []
    assert queue.stops([worker]) == [Stop(worker, attempt.id, 1, "cancelled")]


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES)
def test_a_running_attempt_writes_nothing_after_a_cancel(queue: Queue, settle: object) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.cancel(attempt.id)
    before = snapshot(queue)

    assert callable(settle)
    assert settle(queue, worker, attempt) is Verdict.STALE
    assert snapshot(queue) == before


def test_a_claim_that_was_not_started_is_dropped_by_its_worker(queue: Queue) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    moved(queue, worker)

    had = queue.cancel(task_id)

    assert had is Status.PENDING
    assert queue.claim(worker) is None
    assert entries(queue, queue.keys.processing(worker)) == []
    assert status(queue, task_id) is Status.CANCELLED


def test_a_task_claimed_again_but_not_started_is_dropped_by_its_worker(queue: Queue) -> None:
    first, second = joined(queue, "first"), joined(queue, "second")
    attempt = started(queue, first)
    queue.release(first, attempt)
    moved(queue, second)

    queue.cancel(attempt.id)

    assert queue.claim(second) is None
    assert status(queue, attempt.id) is Status.CANCELLED


def test_a_cancel_records_when_and_why(queue: Queue) -> None:
    task_id = enqueued(queue)

    queue.cancel(task_id, "not needed, ärgerlich")

    stored = record(queue, task_id)
    assert stored["error"] == "cancelled: not needed, ärgerlich"
    detail = msgspec.json.decode(stored["error_detail"], type=ErrorDetail)
    assert detail == ErrorDetail(kind=ErrorKind.CANCELLED, message="cancelled: not needed, ärgerlich")
    assert score(queue, queue.keys.cancelled, task_id) == int(stored["finished_at"])


def test_a_repeated_cancel_changes_nothing(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.cancel(attempt.id, "first")
    before = snapshot(queue)

    had = queue.cancel(attempt.id, "second")

    assert had is Status.CANCELLED
    assert snapshot(queue) == before


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_task_that_has_ended_cannot_be_cancelled(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    SETTLES[verb](queue, worker, attempt)
    before = snapshot(queue)

    had = queue.cancel(attempt.id)

    assert had.final
    assert snapshot(queue) == before


def test_an_unknown_task_cannot_be_cancelled(queue: Queue) -> None:
    with pytest.raises(TaskNotFound, match="task not found"):
        queue.cancel("no-such-task")


def test_an_unreadable_task_cannot_be_cancelled(queue: Queue) -> None:
    queue.link.redis.set(queue.keys.task("odd"), "not a hash")

    with pytest.raises(TaskNotFound):
        queue.cancel("odd")


def test_a_cancelled_retry_stays_cancelled_when_it_would_be_due(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.retry(worker, attempt, 0, "boom", DETAIL)

    queue.cancel(attempt.id)

    assert queue.promote() == (0, None)
    assert queue.claim(worker) is None


def test_a_stop_request_waits_until_it_is_done(queue: Queue) -> None:
    worker, idle = joined(queue), joined(queue, "idle")
    attempt = started(queue, worker)
    queue.cancel(attempt.id)
    found = [queue.stops([idle, worker]), queue.stops([idle, worker])]

    queue.stop_done(worker)

    assert found == 2 * [[Stop(worker, attempt.id, 1, "cancelled")]]
    assert queue.stops([idle, worker]) == []
    assert queue.stops([]) == []


def test_a_task_that_was_cancelled_and_brought_back_runs_as_a_new_attempt(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.cancel(attempt.id)
    queue.requeue(attempt.id)

    again = claim(queue, joined(queue, "other"))

    assert (again.id, again.attempt) == (attempt.id, 2)


@pytest.mark.parametrize("others", [0, 3])
def test_a_claim_that_was_cancelled_before_its_start_is_in_no_list(queue: Queue, others: int) -> None:
    workers = [joined(queue) for _ in range(others + 1)]
    task_id = enqueued(queue)
    assert moved(queue, workers[-1]) == task_id

    queue.cancel(task_id)

    assert entries(queue, queue.keys.processing(workers[-1])) == []
    queue.requeue(task_id)
    reap(queue, workers[-1])
    assert entries(queue, queue.keys.pending) == [task_id]
