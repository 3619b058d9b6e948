"""huey with its Redis storage."""

from __future__ import annotations

import os

import body
import producer
from huey import RedisHuey

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"])


@huey.task()
def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


if __name__ == "__main__":
    from with_huey import noop as sent  # the name that the consumer knows it by

    producer.run(sent)
