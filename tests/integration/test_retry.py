"""retry: another attempt is scheduled and one retry counted."""

from __future__ import annotations

import msgspec

from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, Verdict
from tests.integration.steps import DETAIL, claim, joined, members, record, score, started


def test_retry_schedules_the_task_for_now_plus_the_delay(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    verdict = queue.retry(worker, attempt, 2.5, "boom", DETAIL)

    stored = record(queue, attempt.id)
    assert verdict is Verdict.OK
    assert stored["status"] == "scheduled"
    assert int(stored["run_at"]) == int(stored["updated_at"]) + 2500
    assert score(queue, queue.keys.scheduled, attempt.id) == int(stored["run_at"])


def test_retry_counts_one_retry_and_nothing_else(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    for retries in (1, 2, 3):
        queue.retry(worker, attempt, 0, "boom", DETAIL)
        queue.promote()
        attempt = claim(queue, worker)
        assert (attempt.retries, attempt.attempt, attempt.crashes) == (retries, retries + 1, 0)


def test_retry_says_why(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    queue.retry(worker, attempt, 1, "böse", DETAIL)

    stored = record(queue, attempt.id)
    assert stored["error"] == "böse"
    assert msgspec.json.decode(stored["error_detail"], type=ErrorDetail) == DETAIL


def test_a_retry_without_delay_is_due_at_once(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    queue.retry(worker, attempt, 0, "boom", DETAIL)

    assert members(queue, queue.keys.scheduled) == [attempt.id]
    assert queue.promote() == (1, None)
