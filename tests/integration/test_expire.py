"""expire: a task that has not started in time never does, whether or not a worker looks at it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.queue import BATCH, RECHECK_S, Queue
from taskq.task import ErrorKind, Priority, Status
from tests.integration.steps import (
    DETAIL,
    claim,
    enqueued,
    entries,
    joined,
    members,
    moved,
    new,
    now_ms,
    reap,
    record,
    score,
    snapshot,
    started,
    status,
)


def overdue(queue: Queue, task_id: str, ago_ms: int = 1) -> None:
    """Let the time in which a task may start be over."""
    at = now_ms(queue) - ago_ms
    queue.link.redis.hset(queue.keys.task(task_id), "expires_at", at)
    queue.link.redis.zadd(queue.keys.expiring, {task_id: at})


def expiring(queue: Queue, **fields: Any) -> str:
    return enqueued(queue, expires_in_s=600, **fields)


def expired(queue: Queue, **fields: Any) -> str:
    """A waiting task whose time is over."""
    task_id = expiring(queue, **fields)
    overdue(queue, task_id)
    return task_id


def test_the_moment_of_expiry_counts_from_the_enqueue(queue: Queue, inspector: Inspector) -> None:
    answer = queue.enqueue(task := new(expires_in_s=1.5, delay_s=1))

    stored = inspector.get(task.id)
    assert stored is not None
    assert stored.expires_at_ms == answer.created_at_ms + 1500
    assert score(queue, queue.keys.expiring, task.id) == stored.expires_at_ms


def test_a_task_that_never_expires_leaves_nothing_behind_for_it(queue: Queue) -> None:
    enqueued(queue)

    assert queue.keys.expiring not in snapshot(queue)


@pytest.mark.parametrize("priority", Priority)
def test_a_pending_task_ends_as_failed_without_a_worker(queue: Queue, inspector: Inspector, priority: Priority) -> None:
    kept = expiring(queue, priority=priority)
    task_id = expired(queue, priority=priority)

    more = queue.expire()

    task = inspector.get(task_id)
    assert task is not None
    assert (task.status, task.error, task.attempt) == (Status.FAILED, "expired before it could start", 0)
    assert task.error_detail == {"kind": ErrorKind.EXPIRED, "message": "expired before it could start"}
    assert task.finished_at_ms is not None
    assert members(queue, queue.keys.failed) == [task_id]
    assert members(queue, queue.keys.expiring) == [kept]
    assert claim(queue, joined(queue)).id == kept
    assert not more


def test_a_scheduled_task_ends_before_it_is_due(queue: Queue) -> None:
    task_id = expired(queue, delay_s=60)

    queue.expire()

    assert status(queue, task_id) is Status.FAILED
    assert members(queue, queue.keys.scheduled) == []
    assert "run_at" not in record(queue, task_id)


def test_a_task_that_waits_for_its_retry_expires_as_well(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, expires_in_s=600)
    queue.retry(worker, attempt, 60, "boom", DETAIL)
    overdue(queue, attempt.id)

    queue.expire()

    assert status(queue, attempt.id) is Status.FAILED
    assert record(queue, attempt.id)["error"] == "expired before it could start"


def test_a_claim_passes_over_what_has_expired(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    first, second = expired(queue), expired(queue)
    runs = expiring(queue)
    worker = joined(queue)

    with caplog.at_level(logging.WARNING):
        attempt = queue.claim(worker)

    assert attempt is not None
    assert attempt.id == runs
    assert entries(queue, queue.keys.processing(worker)) == [runs]
    assert {status(queue, task_id) for task_id in (first, second)} == {Status.FAILED}
    lines = [vars(line) for line in caplog.records]
    assert [(line["event"], line["task_id"], line["error_kind"]) for line in lines] == [
        ("task.expired", first, "expired"),
        ("task.expired", second, "expired"),
    ]


def test_a_claim_that_finds_only_expired_tasks_finds_nothing(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    task_id = expired(queue)

    with caplog.at_level(logging.WARNING):
        assert queue.claim(joined(queue)) is None

    assert status(queue, task_id) is Status.FAILED
    assert [vars(line)["task_id"] for line in caplog.records] == [task_id]


def test_a_settle_that_claims_passes_over_what_has_expired(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    task_id, runs = expired(queue), enqueued(queue)

    with caplog.at_level(logging.WARNING):
        _, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert following is not None
    assert following.id == runs
    assert [vars(line)["task_id"] for line in caplog.records] == [task_id]


def test_many_expired_tasks_are_passed_over_by_one_claim(queue: Queue) -> None:
    tasks = [new(expires_in_s=600) for _ in range(BATCH + 50)]
    queue.enqueue_many(tasks)
    for task in tasks:
        overdue(queue, task.id)
    runs = enqueued(queue)

    assert claim(queue, joined(queue)).id == runs
    assert len(members(queue, queue.keys.failed)) == BATCH + 50


def test_a_running_task_does_not_expire(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, expires_in_s=600)
    overdue(queue, attempt.id)

    queue.expire()

    assert status(queue, attempt.id) is Status.PROCESSING
    assert queue.complete(worker, attempt, b"1")[0] == "ok"


def test_a_running_task_that_comes_back_is_looked_at_again(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, expires_in_s=600)
    overdue(queue, attempt.id)
    queue.expire()

    later_ms = score(queue, queue.keys.expiring, attempt.id) - now_ms(queue)
    reap(queue, worker)
    overdue(queue, attempt.id)
    queue.expire()

    assert 0 < later_ms <= RECHECK_S * 1000
    assert status(queue, attempt.id) is Status.FAILED
    assert entries(queue, queue.keys.pending) == []


def test_a_claim_that_has_not_started_is_left_to_its_worker(queue: Queue) -> None:
    task_id = expiring(queue)
    worker = joined(queue)
    moved(queue, worker)
    overdue(queue, task_id)

    queue.expire()

    assert status(queue, task_id) is Status.PENDING
    assert queue.claim(worker) is None
    assert status(queue, task_id) is Status.FAILED
    assert entries(queue, queue.keys.processing(worker)) == []


def test_a_repeated_expire_changes_nothing(queue: Queue) -> None:
    expired(queue)
    queue.expire()
    before = snapshot(queue)

    queue.expire()

    assert snapshot(queue) == before


def test_what_has_ended_is_no_longer_watched(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, expires_in_s=600)
    queue.complete(worker, attempt, b"1")
    overdue(queue, attempt.id)

    queue.expire()

    assert status(queue, attempt.id) is Status.COMPLETED
    assert members(queue, queue.keys.expiring) == []


@pytest.mark.parametrize("ending", ["delete", "trim", "purge"])
def test_a_task_that_is_gone_is_no_longer_watched(queue: Queue, ending: str) -> None:
    task_id = expiring(queue)
    if ending == "delete":
        queue.delete(task_id)
    elif ending == "purge":
        gate.purge(queue)
    else:
        queue.cancel(task_id)
        queue.trim(Status.CANCELLED, 0)

    assert members(queue, queue.keys.expiring) == []


@pytest.mark.parametrize("priority", Priority)
def test_a_task_of_a_paused_queue_expires_as_well(queue: Queue, priority: Priority) -> None:
    task_id = expired(queue, priority=priority)
    gate.pause(queue)
    later = expired(queue, priority=priority)

    queue.expire()
    gate.resume(queue)

    assert {status(queue, task_id), status(queue, later)} == {Status.FAILED}
    assert queue.claim(joined(queue)) is None


def test_a_record_of_a_newer_version_is_left_alone(queue: Queue) -> None:
    task_id = expired(queue)
    queue.link.redis.hset(queue.keys.task(task_id), "v", 2)

    queue.expire()

    assert status(queue, task_id) is Status.PENDING
    assert entries(queue, queue.keys.pending) == [task_id]


def test_a_key_of_another_type_does_not_stop_the_others(queue: Queue) -> None:
    queue.link.redis.set(queue.keys.task("odd"), "not a hash")
    queue.link.redis.zadd(queue.keys.expiring, {"odd": 1, "missing": 2})
    task_id = expired(queue)

    queue.expire()

    assert status(queue, task_id) is Status.FAILED
    assert members(queue, queue.keys.expiring) == []


def test_a_requeued_task_may_wait_as_long_again(queue: Queue) -> None:
    task_id = expired(queue)
    queue.expire()

    queue.requeue(task_id, 60)

    stored = record(queue, task_id)
    assert int(stored["expires_at"]) == int(stored["run_at"]) + 600_000
    assert score(queue, queue.keys.expiring, task_id) == int(stored["expires_at"])


def test_a_great_number_expires_in_bounded_steps(queue: Queue) -> None:
    tasks = [new(expires_in_s=600) for _ in range(2 * BATCH + 50)]
    queue.enqueue_many(tasks)
    at = now_ms(queue) - 1000
    queue.link.redis.zadd(queue.keys.expiring, {task.id: at for task in tasks})

    more = [queue.expire(), queue.expire(), queue.expire()]

    assert more == [True, True, False]
    assert len(members(queue, queue.keys.failed)) == 2 * BATCH + 50
    assert entries(queue, queue.keys.pending) == []
