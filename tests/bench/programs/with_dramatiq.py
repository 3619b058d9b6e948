"""dramatiq with its Redis broker."""

from __future__ import annotations

import os

import body
import dramatiq
import producer
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))


@dramatiq.actor
def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


if __name__ == "__main__":
    producer.run(noop.send)
