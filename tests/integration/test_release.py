"""release: a started task goes back to the head of its queue, and nothing is counted."""

from __future__ import annotations

import pytest

from taskq.queue.queue import Queue
from taskq.task import Priority, Verdict
from tests.integration.steps import claim, enqueued, entries, joined, now_ms, record, started


@pytest.mark.parametrize("priority", Priority)
def test_release_puts_the_task_before_those_that_wait_in_its_own_list(queue: Queue, priority: Priority) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, priority=priority)
    behind = enqueued(queue, priority=priority)

    verdict = queue.release(worker, attempt)

    own = {Priority.HIGH: queue.keys.high, Priority.LOW: queue.keys.low}.get(priority, queue.keys.pending)
    assert verdict is Verdict.OK
    assert [entry for entry in entries(queue, own) if entry != "!"] == [attempt.id, behind]


def test_release_counts_neither_a_retry_nor_a_crash(queue: Queue) -> None:
    worker = joined(queue)
    queue.release(worker, started(queue, worker))

    again = claim(queue, worker)

    assert (again.attempt, again.retries, again.crashes) == (2, 0, 0)


def test_a_released_task_waits_from_now_on(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    before = now_ms(queue)

    queue.release(worker, attempt)

    stored = record(queue, attempt.id)
    assert stored["status"] == "pending"
    assert before <= int(stored["ready_at"]) <= now_ms(queue)
