"""celery: prefork, Redis for tasks and results, acknowledged when the task has ended."""

from __future__ import annotations

import os

import body
import producer
from celery import Celery

app = Celery("with_celery", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.task_acks_late = True
app.conf.worker_prefetch_multiplier = 64


@app.task
def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


if __name__ == "__main__":
    with app.producer_pool.acquire() as connected:
        producer.run(lambda n, ms: noop.apply_async((n, ms), producer=connected))
