"""Resume: everything is back in its place, and whoever waits is woken."""

from __future__ import annotations

import random

import pytest

from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Priority
from tests.integration.steps import claim, enqueued, entries, joined, moved, new, snapshot, until
from tests.integration.test_bell import LATE_S, Crew


def test_tasks_start_in_the_order_in_which_they_would_have(queue: Queue) -> None:
    normal = [enqueued(queue) for _ in range(3)]
    high = [enqueued(queue, priority=Priority.HIGH) for _ in range(2)]
    low = [enqueued(queue, priority=Priority.LOW) for _ in range(2)]
    worker = joined(queue)
    queue.link.redis.lrem(queue.keys.pending, 0, "!")
    assert moved(queue, worker) == normal[0]
    gate.pause(queue)
    normal += [enqueued(queue) for _ in range(2)]
    high.append(enqueued(queue, priority=Priority.HIGH))
    low.append(enqueued(queue, priority=Priority.LOW))

    assert gate.resume(queue)

    assert [claim(queue, joined(queue)).id for _ in range(11)] == high + normal + low


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("when", ["before", "while"])
def test_idle_workers_are_woken(redis_url: str, prefix: str, queue: Queue, priority: Priority, when: str) -> None:
    crew = Crew(redis_url, prefix, 3)
    tasks = [new(priority=priority) for _ in range(3)]
    gate.pause(queue)
    if when == "before":
        queue.enqueue_many(tasks)
    crew.start(queue)
    if when == "while":
        queue.enqueue_many(tasks)
    try:
        gate.resume(queue)

        until(crew.has_run({task.id for task in tasks}), "the idle workers ran them", LATE_S)
    finally:
        crew.stop(queue)


def test_pauses_and_resumes_at_random_moments_lose_nothing_and_leave_nobody_asleep(
    redis_url: str, prefix: str, queue: Queue
) -> None:
    crew = Crew(redis_url, prefix, 4)
    crew.start(queue)
    try:
        for _ in range(40):
            tasks = [new(priority=random.choice(list(Priority))) for _ in range(10)]
            queue.enqueue_many(tasks[:5])
            gate.pause(queue)
            queue.enqueue_many(tasks[5:])
            gate.resume(queue)
            until(crew.has_run({task.id for task in tasks}), "all of them ran", LATE_S)
    finally:
        crew.stop(queue)


def test_a_queue_that_is_not_paused_stays_as_it_is(queue: Queue) -> None:
    enqueued(queue, priority=Priority.LOW)
    before = snapshot(queue)

    assert not gate.resume(queue)

    assert snapshot(queue) == before


def test_nothing_of_a_pause_is_left(queue: Queue, inspector: Inspector) -> None:
    task_id = enqueued(queue)
    before = snapshot(queue)

    gate.pause(queue, "deploy")
    gate.resume(queue)

    after = {key: value for key, value in snapshot(queue).items() if not key.startswith(queue.keys.reply_prefix)}
    assert after == before
    assert inspector.state("default").paused is None
    assert claim(queue, joined(queue)).id == task_id


def test_what_a_mark_removed_by_hand_left_aside_comes_back_before_what_came_later(queue: Queue) -> None:
    first = enqueued(queue)
    gate.pause(queue)
    queue.link.redis.delete(queue.keys.paused)
    later = [enqueued(queue) for _ in range(2_500)]

    gate.resume(queue)

    assert entries(queue, queue.keys.pending) == [first, *later]
