"""A worker in a process of its own, against a real server: what it leaves in Redis."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from typing import Any

import pytest

from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Options, Registry
from taskq.supervisor.slots import Board
from taskq.task import Status
from taskq.worker.worker import Worker
from tests.integration.steps import enqueued, joined, status

END_LIMIT_S = 20.0

RunOne = Callable[..., str]


@pytest.fixture
def run_one(queue: Queue, redis_url: str, prefix: str) -> Iterator[RunOne]:
    """Enqueues a task whose handler is this function and lets a worker run it and end; returns the id of the task."""
    started: list[ForkProcess] = []

    def run(function: Callable[..., Any], options: Options | None = None, **fields: Any) -> str:
        registry, slot = Registry(), Board(1).slot(0)
        task_id = enqueued(queue, type_="it", **fields)
        worker_id = joined(queue)

        def handler(payload: Any = None) -> Any:
            slot.order_drain()
            return function(task_id, payload)

        def child() -> None:
            os.setpgid(0, 0)
            Worker(worker_id, Queue(Link(redis_url), prefix=prefix), registry, slot).run()

        registry.add("it", handler, options or Options())
        started.append(multiprocessing.get_context("fork").Process(target=child))
        started[-1].start()
        started[-1].join(END_LIMIT_S)
        assert started[-1].exitcode == 0
        return task_id

    yield run
    for process in started:
        process.kill()


def test_a_write_of_an_attempt_that_was_overtaken_is_counted(
    queue: Queue, inspector: Inspector, run_one: RunOne, redis_url: str, prefix: str
) -> None:
    def cancels_itself(task_id: str, _payload: Any) -> str:
        Queue(Link(redis_url), prefix=prefix).cancel(task_id)
        return "too late"

    task_id = run_one(cancels_itself)

    assert status(queue, task_id) is Status.CANCELLED
    assert inspector.state("default").stale_writes == 1


def test_a_write_that_is_accepted_counts_nothing(queue: Queue, inspector: Inspector, run_one: RunOne) -> None:
    task_id = run_one(lambda *_: "done")

    assert status(queue, task_id) is Status.COMPLETED
    assert inspector.state("default").stale_writes == 0
