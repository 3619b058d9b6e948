"""streaq."""

from __future__ import annotations

import asyncio
import logging
import os

import body
import producer
from streaq import Worker

logging.getLogger("streaq").addFilter(lambda record: record.levelno >= logging.WARNING)
worker = Worker(redis_url=os.environ["BENCH_REDIS"], concurrency=16)


@worker.task(name="noop")
async def noop(n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


async def one(n: int, ms: int) -> None:
    """Enqueue one."""
    await noop.enqueue(n, ms)


async def main() -> None:
    """Enqueue what the arguments say."""
    async with worker:
        await producer.run_async(one, lambda tasks: worker.enqueue_many([noop.enqueue(*task) for task in tasks]))


if __name__ == "__main__":
    asyncio.run(main())
