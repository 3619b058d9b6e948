"""The fence: complete, retry, fail and release act once, and only for the attempt that owns the task."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from taskq.queue.queue import Queue
from taskq.task import Attempt, Priority, Verdict
from tests.integration.steps import (
    DETAIL,
    EVERY_SETTLE,
    SETTLES,
    Settle,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    moved,
    reap,
    snapshot,
    started,
)

every_settle = pytest.mark.parametrize("settle", EVERY_SETTLE.values(), ids=EVERY_SETTLE)


@every_settle
@pytest.mark.parametrize("priority", Priority)
def test_a_settle_takes_the_task_off_the_list_of_its_worker(queue: Queue, settle: Settle, priority: Priority) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, priority=priority)

    verdict = settle(queue, worker, attempt)

    assert verdict is Verdict.OK
    assert entries(queue, queue.keys.processing(worker)) == []


@every_settle
def test_a_repeated_settle_answers_ok_and_changes_nothing(queue: Queue, settle: Settle) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    settle(queue, worker, attempt)
    before = snapshot(queue)

    verdict = settle(queue, worker, attempt)

    assert verdict is Verdict.OK
    assert snapshot(queue) == before


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(SETTLES, 2)))
def test_a_second_settle_with_another_verb_is_stale(queue: Queue, first: str, second: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    SETTLES[first](queue, worker, attempt)

    assert_stale(queue, SETTLES[second], worker, attempt)


def rerun_after_reap(queue: Queue, worker: str, attempt: Attempt) -> None:
    lapse(queue, worker)
    reap(queue, worker, dead=False)
    claim(queue, joined(queue, "rescuer"))


def completed_after_reap(queue: Queue, worker: str, attempt: Attempt) -> None:
    lapse(queue, worker)
    reap(queue, worker, dead=False)
    rescuer = joined(queue, "rescuer")
    queue.complete(rescuer, claim(queue, rescuer), b'"newer"')


def reaped(queue: Queue, worker: str, attempt: Attempt) -> None:
    reap(queue, worker)


def failed_at_the_crash_limit(queue: Queue, worker: str, attempt: Attempt) -> None:
    reap(queue, worker, max_crashes=1)


def cancelled(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.cancel(attempt.id)


def cancelled_and_requeued(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.cancel(attempt.id)
    queue.requeue(attempt.id)


def requeued_and_claimed_by_the_same_worker(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.cancel(attempt.id)
    queue.requeue(attempt.id)
    claim(queue, worker)


def requeued_and_moved_to_the_same_worker(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.cancel(attempt.id)
    queue.requeue(attempt.id)
    moved(queue, worker)


def deleted(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.delete(attempt.id)


def spoilt(queue: Queue, worker: str, attempt: Attempt) -> None:
    queue.link.redis.set(queue.keys.task(attempt.id), "not a hash")


OVERTAKEN = [
    rerun_after_reap,
    completed_after_reap,
    reaped,
    failed_at_the_crash_limit,
    cancelled,
    cancelled_and_requeued,
    requeued_and_claimed_by_the_same_worker,
    requeued_and_moved_to_the_same_worker,
    deleted,
    spoilt,
]


@every_settle
@pytest.mark.parametrize("overtake", OVERTAKEN)
def test_an_overtaken_attempt_writes_nothing(
    queue: Queue, settle: Settle, overtake: Callable[[Queue, str, Attempt], None]
) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    overtake(queue, worker, attempt)

    assert_stale(queue, settle, worker, attempt)


@every_settle
def test_another_worker_cannot_settle_with_the_right_attempt_number(queue: Queue, settle: Settle) -> None:
    attempt = started(queue, joined(queue))

    assert_stale(queue, settle, joined(queue, "other"), attempt)


@every_settle
def test_another_worker_cannot_repeat_what_the_owner_settled(queue: Queue, settle: Settle) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    settle(queue, worker, attempt)

    assert_stale(queue, settle, joined(queue, "other"), attempt)


@every_settle
@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_owner_cannot_settle_with_another_attempt_number(queue: Queue, settle: Settle, number: int) -> None:
    worker = joined(queue)
    queue.release(worker, started(queue, worker))
    second = claim(queue, worker)

    assert_stale(queue, settle, worker, Attempt(id=second.id, type="echo", queue="default", attempt=number))


@every_settle
def test_a_claim_that_was_not_started_cannot_be_settled(queue: Queue, settle: Settle) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    moved(queue, worker)

    assert_stale(queue, settle, worker, Attempt(id=task_id, type="echo", queue="default", attempt=1))


@every_settle
def test_a_worker_whose_lease_lapsed_may_still_settle_what_nobody_has_taken(queue: Queue, settle: Settle) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    lapse(queue, worker)

    assert settle(queue, worker, attempt) is Verdict.OK


def test_a_retry_repeated_after_the_next_attempt_began_is_stale(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.retry(worker, attempt, 0, "boom", DETAIL)
    queue.promote()
    claim(queue, worker)

    assert_stale(queue, SETTLES["retry"], worker, attempt)


def assert_stale(queue: Queue, settle: Settle, worker: str, attempt: Attempt) -> None:
    before = snapshot(queue)
    assert settle(queue, worker, attempt) is Verdict.STALE
    assert snapshot(queue) == before
