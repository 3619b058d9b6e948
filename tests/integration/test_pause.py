"""Pause: after it, no task starts, whatever a worker was about to do; what waits keeps its order."""

from __future__ import annotations

import threading
import time

import pytest

from taskq.queue import gate
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Priority, Status
from tests.integration.steps import (
    DETAIL,
    EVERY_SETTLE,
    enqueued,
    entries,
    joined,
    lapse,
    moved,
    new,
    now_ms,
    reap,
    record,
    started,
    status,
    until,
)


@pytest.mark.parametrize("priority", Priority)
def test_nothing_that_waits_is_claimed(queue: Queue, priority: Priority) -> None:
    task_id = enqueued(queue, priority=priority)

    gate.pause(queue)

    assert queue.claim(joined(queue)) is None
    assert queue.wait(joined(queue), 0.05) is None
    assert status(queue, task_id) is Status.PENDING


@pytest.mark.parametrize("priority", Priority)
def test_a_paused_queue_takes_tasks_and_starts_none(queue: Queue, priority: Priority) -> None:
    gate.pause(queue)

    task_id = enqueued(queue, priority=priority)

    assert queue.claim(joined(queue)) is None
    assert queue.wait(joined(queue), 0.05) is None
    assert status(queue, task_id) is Status.PENDING


def test_a_task_that_was_moved_and_not_started_goes_back_to_its_place_at_the_head(queue: Queue) -> None:
    first, second = enqueued(queue), enqueued(queue)
    worker = joined(queue)
    assert moved(queue, worker) == first

    gate.pause(queue)

    assert queue.claim(worker) is None
    assert entries(queue, queue.keys.processing(worker)) == []
    assert entries(queue, queue.keys.pending + ":paused") == [first, second]


def test_claims_of_several_workers_go_back_in_the_order_in_which_they_became_ready(queue: Queue) -> None:
    ids = [enqueued(queue) for _ in range(4)]
    for age, task_id in enumerate(reversed(ids)):
        queue.link.redis.hset(queue.keys.task(task_id), "ready_at", 1_000_000 - age)
    for task_id in ids[:3]:
        assert moved(queue, joined(queue)) == task_id

    gate.pause(queue)

    assert entries(queue, queue.keys.pending + ":paused") == ids


def test_a_started_task_runs_on_and_its_worker_gets_no_other(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    waiting = enqueued(queue)

    gate.pause(queue)

    assert queue.claim(worker) == attempt  # a worker whose reply was lost still finds what it had started
    assert queue.complete(worker, attempt, b"1", claim_next=True)[1] is None
    assert (status(queue, attempt.id), status(queue, waiting)) == (Status.COMPLETED, Status.PENDING)


def test_a_worker_that_waits_gets_no_task_that_comes_in_meanwhile(redis_url: str, prefix: str, queue: Queue) -> None:
    link = Link(redis_url)
    own = Queue(link, prefix=prefix)
    worker = joined(own)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(own.wait(worker, 0.5)))
    thread.start()
    until(lambda: [c for c in queue.link.redis.client_list() if c["cmd"] == "blmove"], "the worker waits")

    gate.pause(queue)
    task_id = enqueued(queue)

    thread.join(5)
    assert found == [None]
    assert status(queue, task_id) is Status.PENDING
    link.close()


def test_no_task_starts_after_the_answer_while_many_workers_claim(redis_url: str, prefix: str, queue: Queue) -> None:
    queue.enqueue_many([new(priority=priority) for _ in range(300) for priority in Priority])
    links = [Link(redis_url) for _ in range(6)]
    starts: list[float] = []
    leaving = threading.Event()

    def work(own: Queue, worker: str, at_once: bool) -> None:
        while not leaving.is_set():
            attempt = (own.claim(worker) if at_once else None) or own.wait(worker, 0.05)
            if attempt is not None:
                starts.append(float(record(own, attempt.id)["started_at"]))
                own.complete(worker, attempt, b"1")

    owns = [Queue(link, prefix=prefix) for link in links]
    threads = [threading.Thread(target=work, args=(own, joined(own), n % 2 == 0)) for n, own in enumerate(owns)]
    for thread in threads:
        thread.start()
    until(lambda: len(starts) > 50, "they are in full swing")

    gate.pause(queue)
    answered_at = now_ms(queue)
    queue.enqueue_many([new(priority=priority) for _ in range(50) for priority in Priority])
    time.sleep(0.3)  # time in which something might start

    leaving.set()
    for thread in threads:
        thread.join(5)
    assert max(starts) <= answered_at
    left = Inspector(queue.link, prefix=prefix).state("default").counts
    assert left[Status.PENDING] + left[Status.COMPLETED] == 1050
    assert left[Status.PROCESSING] == 0
    for link in links:
        link.close()


@pytest.mark.parametrize("how", ["enqueue", "promote", "requeue", "release", "reap"])
def test_whatever_becomes_pending_meanwhile_waits_too(queue: Queue, how: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    if how == "requeue":
        queue.fail(worker, attempt, "boom", DETAIL)
    if how == "promote":
        queue.retry(worker, attempt, 0, "boom", DETAIL)
    gate.pause(queue)

    if how == "enqueue":
        enqueued(queue)
    if how == "promote":
        queue.promote()
    if how == "requeue":
        queue.requeue(attempt.id)
    if how == "release":
        queue.release(worker, attempt)
    if how == "reap":
        reap(queue, worker)

    assert queue.claim(joined(queue)) is None
    assert len(entries(queue, queue.keys.pending + ":paused")) == 1


@pytest.mark.parametrize("verb", ["cancel", "delete"])
@pytest.mark.parametrize("priority", Priority)
def test_a_task_that_waits_can_be_withdrawn(queue: Queue, verb: str, priority: Priority) -> None:
    task_id = enqueued(queue, priority=priority)
    gate.pause(queue)

    getattr(queue, verb)(task_id)

    assert [key for key in queue.keys.waiting if task_id in entries(queue, key)] == []


def test_a_repeated_pause_keeps_the_moment_and_takes_the_new_reason(queue: Queue, inspector: Inspector) -> None:
    since = gate.pause(queue, "deploy")
    enqueued(queue)

    assert gate.pause(queue, "longer deploy") == since

    assert inspector.state("default").paused == (since, "longer deploy")
    assert abs(since - now_ms(queue)) < 5_000


def test_a_paused_queue_shows_what_waits_as_ever(queue: Queue, inspector: Inspector) -> None:
    oldest = enqueued(queue, priority=Priority.LOW)
    for priority in Priority:
        enqueued(queue, priority=priority)
    queue.link.redis.hset(queue.keys.task(oldest), "ready_at", now_ms(queue) - 90_000)

    gate.pause(queue)

    state = inspector.state("default")
    assert state.counts[Status.PENDING] == 4
    assert state.oldest_wait_s is not None
    assert 90 <= state.oldest_wait_s < 95


def test_lists_whose_mark_was_removed_by_hand_are_set_aside_again_and_lost_to_nobody(queue: Queue) -> None:
    first = enqueued(queue)
    gate.pause(queue)
    queue.link.redis.delete(queue.keys.paused)
    second = enqueued(queue)

    gate.pause(queue)

    assert queue.claim(joined(queue)) is None
    assert entries(queue, queue.keys.pending + ":paused") == [first, second]


def test_a_claim_of_a_worker_whose_lease_has_ended_is_left_to_the_reaper(queue: Queue) -> None:
    task_id = enqueued(queue)
    worker = joined(queue)
    moved(queue, worker)
    lapse(queue, worker)
    gate.pause(queue)

    reap(queue, worker, dead=False)

    assert [key for key in queue.keys.waiting if task_id in entries(queue, key)] == [queue.keys.pending + ":paused"]


@pytest.mark.parametrize("verb", EVERY_SETTLE)
def test_every_settle_is_taken_while_the_queue_is_paused(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    gate.pause(queue)

    assert EVERY_SETTLE[verb](queue, worker, attempt) == "ok"


def test_a_queue_that_nobody_used_can_be_paused_before_its_first_task(queue: Queue, inspector: Inspector) -> None:
    gate.pause(queue)

    assert inspector.queue_names() == ["default"]
    assert inspector.state("default").paused is not None
