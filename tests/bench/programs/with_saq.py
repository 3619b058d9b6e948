"""saq on Redis."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import body
import producer
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_REDIS"])


async def noop(_: dict[str, Any], *, n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


settings = {"queue": queue, "functions": [noop], "concurrency": 10}


async def main() -> None:
    """Enqueue what the arguments say."""
    await queue.connect()
    await producer.run_async(lambda n, ms: queue.enqueue("noop", n=n, ms=ms))
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
