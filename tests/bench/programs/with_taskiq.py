"""taskiq on Redis streams, results kept."""

from __future__ import annotations

import asyncio
import os

import body
import producer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

URL = os.environ["BENCH_REDIS"]
# "0": what was enqueued before the first worker came is served too
broker = RedisStreamBroker(URL, consumer_id="0").with_result_backend(RedisAsyncResultBackend(URL))


@broker.task(task_name="noop")
async def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


async def main() -> None:
    """Enqueue what the arguments say."""
    await broker.startup()
    await producer.run_async(noop.kiq)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
