"""arq."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import body
import producer
from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS"])


async def noop(_: dict[str, Any], n: int, ms: int) -> None:
    """The body of every peer's task."""
    body.work(n, ms)


LOGGING = {"version": 1, "loggers": {"arq": {"level": "WARNING"}}}


class WorkerSettings:
    """What arq reads."""

    functions = (noop,)
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.01


async def main() -> None:
    """Enqueue what the arguments say."""
    pool = await create_pool(SETTINGS)
    await producer.run_async(lambda n, ms: pool.enqueue_job("noop", n, ms))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
