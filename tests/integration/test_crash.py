"""crash: an attempt whose own process died goes back, or fails at the crash limit, while its worker lives on."""

from __future__ import annotations

import pytest

from taskq.queue.crash import crash
from taskq.queue.queue import Queue
from taskq.task import Priority, Status, Verdict
from tests.integration.steps import DETAIL, claim, enqueued, entries, joined, members, record, started, status


@pytest.mark.parametrize("priority", Priority)
def test_a_crashed_attempt_returns_to_the_head_of_its_queue_with_one_crash(queue: Queue, priority: Priority) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, priority=priority)
    behind = enqueued(queue, priority=priority)

    assert crash(queue, worker, attempt, 3, "boom", DETAIL) is Verdict.OK

    fields = record(queue, attempt.id)
    assert (fields["status"], fields["crashes"], fields["error"]) == ("pending", "1", "boom")
    assert "retries" not in fields
    second = claim(queue, worker)
    assert (second.id, second.attempt, second.crashes) == (attempt.id, 2, 1)
    queue.complete(worker, second, b"1")
    assert claim(queue, worker).id == behind


def test_the_crash_that_reaches_the_limit_fails_the_task(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    for _ in range(2):
        crash(queue, worker, attempt, 3, "boom", DETAIL)
        attempt = claim(queue, worker)

    crash(queue, worker, attempt, 3, "boom", DETAIL)

    assert status(queue, attempt.id) is Status.FAILED
    assert members(queue, queue.keys.failed) == [attempt.id]
    assert entries(queue, queue.keys.processing(worker)) == []
    assert (record(queue, attempt.id)["crashes"], record(queue, attempt.id)["settled"]) == ("3", "crash")


def test_crashes_of_workers_and_of_isolated_processes_are_one_budget(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    crash(queue, worker, attempt, 2, "boom", DETAIL)
    claim(queue, worker)

    queue.reap(worker, dead=True, max_crashes=2, error="boom", detail=DETAIL)

    assert status(queue, attempt.id) is Status.FAILED


def test_a_crash_repeated_after_a_lost_reply_counts_once(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    verdicts = [crash(queue, worker, attempt, 3, "boom", DETAIL) for _ in range(2)]

    assert verdicts == [Verdict.OK, Verdict.OK]
    assert record(queue, attempt.id)["crashes"] == "1"
