"""The producer's side of each peer's program: what to enqueue, and how long that took.

    with_PEER.py fill N MS     enqueue N tasks that burn MS, as fast as the peer can
    with_PEER.py single N 0    the same one by one; prints the seconds that it took
    with_PEER.py bulk N 0      the same by whatever the peer has for many; prints the seconds that it took
    with_PEER.py latency N 0   enqueue one, wait until it has run, and again; prints the moments before each, in ns

Numbers begin at START, so that a task which only warmed something up is told from those that are measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

START = 1000
CHUNK = 1000
POLL_S = 0.0005
LIMIT_S = 20.0

Tasks = Sequence[tuple[int, int]]
"""Number and ms of each."""


def run(one: Callable[[int, int], object], many: Callable[[Tasks], object] | None = None) -> None:
    """Act on the arguments with functions that enqueue one task and, if the peer can do that, many at once."""

    async def send_one(n: int, ms: int) -> None:
        one(n, ms)

    async def send_many(tasks: Tasks) -> None:
        if many is None:
            for n, ms in tasks:
                one(n, ms)
        else:
            many(tasks)

    asyncio.run(run_async(send_one, send_many))


async def run_async(
    one: Callable[[int, int], Awaitable[object]], many: Callable[[Tasks], Awaitable[object]] | None = None
) -> None:
    """The same for peers that are awaited."""
    action, count, ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if action == "latency":
        await _latency(count, ms, one)
        return
    if action != "fill":
        await one(0, 0)  # connect
    tasks = [(START + n, ms) for n in range(count)]
    began = time.perf_counter()
    if action == "single" or many is None:
        for n, ms_ in tasks:
            await one(n, ms_)
    else:
        for at in range(0, count, CHUNK):
            await many(tasks[at : at + CHUNK])
    print(json.dumps({"seconds": time.perf_counter() - began}))


async def _latency(count: int, ms: int, one: Callable[[int, int], Awaitable[object]]) -> None:
    records = os.environ["BENCH_RECORDS"]
    sent = []
    for n in range(count):
        size = os.stat(records).st_size
        sent.append(time.monotonic_ns())
        await one(START + n, ms)
        limit = time.monotonic() + LIMIT_S
        while os.stat(records).st_size == size:
            if time.monotonic() > limit:
                raise SystemExit(f"task {n} did not run")
            time.sleep(POLL_S)
        time.sleep(random.uniform(0.002, 0.006))
    print(json.dumps({"sent": sent}))
