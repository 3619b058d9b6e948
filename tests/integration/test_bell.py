"""Bells: BLMOVE waits on one list, and yet no task of another priority waits while a worker does."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from taskq.queue.connection import Link
from taskq.queue.queue import Queue
from taskq.task import Priority
from tests.integration.steps import claim, enqueued, entries, joined, moved, new, reap, started, until

BLOCK_S = 30.0
"""Far beyond what any test here takes: a task that no bell announces is late."""
LATE_S = 5.0


def test_a_worker_that_receives_a_bell_finds_the_task_it_rang_for(queue: Queue) -> None:
    task_id = enqueued(queue, priority=Priority.LOW)

    attempt = queue.wait(joined(queue), 5)

    assert attempt is not None
    assert attempt.id == task_id


def test_a_worker_that_received_a_bell_rings_anew_while_more_waits(queue: Queue) -> None:
    for _ in range(2):
        enqueued(queue, priority=Priority.HIGH)
    worker = joined(queue)
    assert moved(queue, worker) == "!"

    claim(queue, worker)

    assert entries(queue, queue.keys.pending) == ["!"]


def test_a_worker_that_took_the_last_one_does_not_ring(queue: Queue) -> None:
    enqueued(queue, priority=Priority.HIGH)
    worker = joined(queue)
    assert moved(queue, worker) == "!"

    claim(queue, worker)

    assert entries(queue, queue.keys.pending) == []


def test_a_bell_for_nothing_is_harmless(queue: Queue) -> None:
    worker = joined(queue)
    queue.link.redis.rpush(queue.keys.pending, "!")

    assert queue.wait(worker, 5) is None
    assert entries(queue, queue.keys.processing(worker)) == []


def test_a_bell_rings_on_when_dead_entries_stood_before_the_tasks(queue: Queue) -> None:
    queue.link.redis.lpush(queue.keys.high, *(f"no-such-task-{i}" for i in range(250)))
    for _ in range(2):
        enqueued(queue, priority=Priority.HIGH)
    worker = joined(queue)
    assert moved(queue, worker) == "!"

    claim(queue, worker)

    assert entries(queue, queue.keys.pending) == ["!"]


def test_a_bell_in_the_list_of_a_dead_worker_rings_again(queue: Queue) -> None:
    task_id = enqueued(queue, priority=Priority.LOW)
    dead = joined(queue)
    assert moved(queue, dead) == "!"

    reap(queue, dead)

    attempt = queue.wait(joined(queue), 5)
    assert attempt is not None
    assert attempt.id == task_id


def test_a_released_task_of_another_priority_rings(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, priority=Priority.HIGH)
    queue.link.redis.delete(queue.keys.pending)

    queue.release(worker, attempt)

    assert entries(queue, queue.keys.pending) == ["!"]


class Crew:
    """Idle workers, each a thread with a connection of its own that waits, completes and waits again."""

    def __init__(self, url: str, prefix: str, size: int) -> None:
        self.done: dict[str, float] = {}
        self.leaving = False
        self._links = [Link(url) for _ in range(size)]
        queues = [Queue(link, prefix=prefix) for link in self._links]
        self._threads = [threading.Thread(target=self._work, args=(queue, joined(queue))) for queue in queues]

    def start(self, queue: Queue) -> None:
        """Returns once all of them wait."""
        for thread in self._threads:
            thread.start()
        until(lambda: waiting(queue) == len(self._threads), "every worker waits")

    def stop(self, queue: Queue) -> None:
        """End every thread; each takes one more task for that."""
        self.leaving = True
        queue.enqueue_many([new() for _ in self._threads])
        for thread in self._threads:
            thread.join(LATE_S)
            assert not thread.is_alive()
        for link in self._links:
            link.close()

    def has_run(self, wanted: set[str]) -> Callable[[], bool]:
        """Tells whether these tasks have run by now."""
        return lambda: wanted <= self.done.keys()

    def _work(self, queue: Queue, worker: str) -> None:
        while not self.leaving:
            attempt = queue.claim(worker) or queue.wait(worker, BLOCK_S)
            if attempt is not None:
                self.done[attempt.id] = time.monotonic()
                queue.complete(worker, attempt, b"1")


def waiting(queue: Queue) -> int:
    """How many clients the server holds in BLMOVE."""
    found = queue.link.redis.client_list()
    return sum(1 for client in found if client["cmd"] == "blmove" and "b" in client["flags"])


def test_every_task_of_every_priority_wakes_one_of_many_idle_workers(redis_url: str, prefix: str, queue: Queue) -> None:
    crew = Crew(redis_url, prefix, 4)
    crew.start(queue)
    try:
        for _ in range(100):
            task_id = enqueued(queue, priority=random.choice(list(Priority)))
            until(crew.has_run({task_id}), "an idle worker ran it", LATE_S)
    finally:
        crew.stop(queue)


def test_many_tasks_of_all_priorities_at_once_leave_none_waiting_beside_an_idle_worker(
    redis_url: str, prefix: str, queue: Queue
) -> None:
    crew = Crew(redis_url, prefix, 4)
    crew.start(queue)
    try:
        for _ in range(10):
            tasks = [new(priority=random.choice(list(Priority))) for _ in range(40)]
            queue.enqueue_many(tasks)
            until(crew.has_run({task.id for task in tasks}), "all of them ran", LATE_S)
    finally:
        crew.stop(queue)


def test_several_tasks_of_one_priority_at_once_wake_as_many_workers(redis_url: str, prefix: str, queue: Queue) -> None:
    links = [Link(redis_url) for _ in range(3)]
    queues = [Queue(link, prefix=prefix) for link in links]
    found: list[str] = []

    def take_one(own: Queue, worker: str) -> None:
        attempt = own.wait(worker, BLOCK_S)
        found.append(attempt.id if attempt else "nothing")

    threads = [threading.Thread(target=take_one, args=(own, joined(own))) for own in queues]
    for thread in threads:
        thread.start()
    until(lambda: waiting(queue) == 3, "every worker waits")

    tasks = [new(priority=Priority.LOW) for _ in range(3)]
    queue.enqueue_many(tasks)

    for thread in threads:
        thread.join(LATE_S)
    assert sorted(found) == sorted(task.id for task in tasks)
    for link in links:
        link.close()
