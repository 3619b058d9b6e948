"""Priorities are strict: nothing delays a high task but the tasks that have started before it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from taskq.errors import QueueFull
from taskq.queue.connection import Link
from taskq.queue.queue import Queue
from taskq.queue.scripts import Script
from taskq.task import Priority
from tests.integration.steps import enqueued, joined, new, record, until

WAITING = 100_000
WORKERS = 4


class Trips(Link):
    """Notes every round trip."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.made: list[str] = []

    def script(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        self.made.append(script.name)
        return super().script(script, keys, args)

    def block_move_then(self, source: str, destination: str, block_s: float, then: bytes) -> tuple[QueueFull | None, Any]:
        self.made.append("BLMOVE and claim")
        return super().block_move_then(source, destination, block_s, then)


@pytest.fixture
def crowded(queue: Queue) -> Iterator[Queue]:
    """A queue in which 100,000 normal tasks wait."""
    for _ in range(WAITING // 1000):
        queue.enqueue_many([new() for _ in range(1000)])
    yield queue
    pipe = queue.link.redis.pipeline(transaction=False)
    for key in queue.link.redis.scan_iter(match=f"{{{queue.keys.prefix}*", count=10_000):
        pipe.unlink(key)
    pipe.execute()


class Starts:
    """Workers that start and complete one task after the other, and the order in which they started them."""

    def __init__(self, url: str, prefix: str) -> None:
        self.order: list[str] = []
        self._leaving = threading.Event()
        self._links = [Link(url) for _ in range(WORKERS)]
        queues = [Queue(link, prefix=prefix) for link in self._links]
        self._threads = [threading.Thread(target=self._work, args=(own, joined(own))) for own in queues]

    def __enter__(self) -> Starts:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join()
        for link in self._links:
            link.close()

    def _work(self, queue: Queue, worker: str) -> None:
        attempt = queue.claim(worker)
        while attempt is not None and not self._leaving.is_set():
            self.order.append(attempt.id)
            _, attempt = queue.complete(worker, attempt, b"1", claim_next=True)


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.NORMAL, Priority.LOW])
def test_an_idle_worker_starts_a_task_of_any_priority_in_one_trip(
    redis_url: str, prefix: str, queue: Queue, priority: Priority
) -> None:
    link = Trips(redis_url)
    own = Queue(link, prefix=prefix)
    worker = joined(own)
    assert own.claim(worker) is None  # a server that does not know the script costs another trip
    link.made.clear()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(own.wait(worker, 30)))
    thread.start()
    until(lambda: [c for c in queue.link.redis.client_list() if c["cmd"] == "blmove"], "the worker waits")

    task_id = enqueued(queue, priority=priority)

    thread.join(5)
    assert [attempt.id for attempt in found] == [task_id]
    assert link.made == ["BLMOVE and claim"]
    link.close()


def test_a_high_task_starts_before_all_of_100_000_normal_ones_that_wait(redis_url: str, prefix: str, crowded: Queue) -> None:
    with Starts(redis_url, prefix) as starts:
        until(lambda: len(starts.order) > 200, "the workers are in full swing")

        task_id = enqueued(crowded, priority=Priority.HIGH)

        until(lambda: task_id in starts.order, "it has started")
    high = record(crowded, task_id)
    created_at, started_at = int(high["created_at"]), int(high["started_at"])
    moments = [int(record(crowded, other)["started_at"]) for other in starts.order]
    assert [moment for moment in moments if created_at < moment < started_at] == []
    assert len(starts.order) < WAITING / 10


def test_a_low_task_waits_for_all_normal_ones(redis_url: str, prefix: str, queue: Queue) -> None:
    low = enqueued(queue, priority=Priority.LOW)
    normal = {enqueued(queue) for _ in range(500)}
    with Starts(redis_url, prefix) as starts:
        until(lambda: len(starts.order) > len(normal), "all have started")

    assert normal - set(starts.order[: starts.order.index(low) + WORKERS]) == set()
