"""complete: stores the result and, if asked, claims the next task in the same trip."""

from __future__ import annotations

import pytest

from taskq.errors import LeaseLost
from taskq.queue.queue import Queue
from taskq.task import Priority, Status, Verdict
from tests.integration.steps import (
    DETAIL,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    now_ms,
    reap,
    record,
    score,
    snapshot,
    started,
    status,
)


def test_complete_stores_the_result_byte_for_byte(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    before = now_ms(queue)

    verdict, following = queue.complete(worker, attempt, '{"a": "ä"}'.encode())

    assert (verdict, following) == (Verdict.OK, None)
    stored = record(queue, attempt.id)
    assert (stored["status"], stored["result"]) == ("completed", '{"a": "ä"}')
    assert before <= int(stored["finished_at"]) <= now_ms(queue)
    assert score(queue, queue.keys.completed, attempt.id) == int(stored["finished_at"])


def test_a_result_leaves_no_error_of_an_earlier_attempt(queue: Queue) -> None:
    worker = joined(queue)
    queue.retry(worker, started(queue, worker), 0, "boom", DETAIL)
    queue.promote()

    queue.complete(worker, attempt := claim(queue, worker), b"1")

    stored = record(queue, attempt.id)
    assert {"error", "error_detail"}.isdisjoint(stored)
    assert stored["retries"] == "1"


def test_complete_claims_nothing_unless_asked(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    waiting = enqueued(queue)

    queue.complete(worker, attempt, b"1")

    assert status(queue, waiting) is Status.PENDING


def test_complete_claims_the_next_task_by_priority_when_asked(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    enqueued(queue)
    urgent = enqueued(queue, priority=Priority.HIGH)

    verdict, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert verdict is Verdict.OK
    assert following is not None
    assert (following.id, following.attempt) == (urgent, 1)
    assert entries(queue, queue.keys.processing(worker)) == [urgent]


def test_complete_on_an_empty_queue_claims_nothing(queue: Queue) -> None:
    worker = joined(queue)

    assert queue.complete(worker, started(queue, worker), b"1", claim_next=True) == (Verdict.OK, None)


def test_complete_whose_reply_was_lost_answers_the_same_next_task(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    enqueued(queue)
    enqueued(queue)
    first = queue.complete(worker, attempt, b"1", claim_next=True)
    before = snapshot(queue)

    again = queue.complete(worker, attempt, b"1", claim_next=True)

    assert again == first
    assert snapshot(queue) == before


def test_a_stale_complete_still_claims_the_next_task(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.cancel(attempt.id)
    waiting = enqueued(queue)

    verdict, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert verdict is Verdict.STALE
    assert following is not None
    assert following.id == waiting
    assert status(queue, attempt.id) is Status.CANCELLED


def test_complete_gets_past_more_dead_entries_than_one_script_drops(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.link.redis.lpush(queue.keys.pending, *(f"no-such-task-{i}" for i in range(450)))
    waiting = enqueued(queue)

    verdict, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert verdict is Verdict.OK
    assert following is not None
    assert following.id == waiting


def test_complete_of_a_worker_without_a_lease_stores_the_result_and_claims_nothing(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    waiting = enqueued(queue)
    lapse(queue, worker)

    assert queue.complete(worker, attempt, b"1", claim_next=True) == (Verdict.OK, None)

    assert status(queue, attempt.id) is Status.COMPLETED
    assert status(queue, waiting) is Status.PENDING
    with pytest.raises(LeaseLost):
        queue.claim(worker)


def test_the_result_of_the_newer_attempt_stays(queue: Queue) -> None:
    stopped, rescuer = joined(queue, "stopped"), joined(queue, "rescuer")
    old = started(queue, stopped)
    lapse(queue, stopped)
    reap(queue, stopped, dead=False)
    queue.complete(rescuer, claim(queue, rescuer), b'"newer"')

    verdict, _ = queue.complete(stopped, old, b'"older"')

    assert verdict is Verdict.STALE
    assert record(queue, old.id)["result"] == '"newer"'
