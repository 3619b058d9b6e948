"""rq: a pool of workers that fork for each job."""

from __future__ import annotations

import os

import producer
from redis import Redis
from rq import Queue


def noop(n: int, ms: int) -> None:
    """The body of every peer's task; its process lives for this one task, so the worker is the parent."""
    import body

    body.work(n, ms, os.getppid())


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))
    producer.run(
        lambda n, ms: queue.enqueue("with_rq.noop", n, ms),
        lambda tasks: queue.enqueue_many([Queue.prepare_data("with_rq.noop", task) for task in tasks]),
    )
