"""What one task costs, counted by the server: exact on any machine, so it is compared with a baseline.

python -m tests.bench.guard            show the costs of this checkout beside the baseline
python -m tests.bench.guard --write    make them the baseline
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from taskq.queue.alike import Alike
from taskq.queue.connection import Link
from taskq.queue.embedded import find_binary
from taskq.queue.queue import Queue
from taskq.queue.scripts import load, names
from taskq.registry import Registry
from taskq.supervisor.slots import Board
from taskq.task import Attempt, ErrorDetail, ErrorKind, NewTask
from taskq.typeoptions import Options
from taskq.worker.worker import Worker
from tests.bench.stage import Server

BASELINE = Path(__file__).parent / "baseline.json"
MANY = 50
WORKER = "worker-of-the-guard"
PAYLOAD = b'{"n": 1, "ms": 0}'
BOOKKEEPING = frozenset({"info", "config|resetstat"})
BY_THE_CLOCK = frozenset({"hlen"})
"""A duration that falls into a bucket for the first time costs one of these, and how many buckets there are is chance."""
RUN_S = 0.002
"""So long does each run take at least: the sum of durations is raised only for one that took a millisecond."""
END_LIMIT_S = 30.0

Costs = dict[str, dict[str, float]]


class Bench:
    """A server of its own with one queue, which holds nothing, and a worker that is known there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        server.client.flushall()  # what the scene before has left with the worker would be claimed first
        self.queue = Queue(Link(server.url), prefix="guard")
        self.queue.join(WORKER, 3600, b"{}")
        self.enqueue()
        self.queue.complete(WORKER, self.claim(), b"null", claim_next=True)
        for name in names():
            server.client.script_load(load(name).text)

    def enqueue(self, count: int = 1) -> None:
        """Store so many tasks in one call."""
        self.queue.enqueue_many([NewTask(id=str(uuid.uuid4()), type="noop", payload=PAYLOAD) for _ in range(count)])

    def claim(self) -> Attempt:
        """The next task, which must be there."""
        attempt = self.queue.claim(WORKER)
        assert attempt is not None
        return attempt

    def run(self) -> Attempt:
        """A task that has run for `RUN_S` and is to be settled."""
        self.enqueue()
        attempt = self.claim()
        time.sleep(RUN_S)
        return attempt

    def cost(self, action: Callable[[], object], tasks: int = 1) -> dict[str, float]:
        """Scripts that the server was asked for, and commands that it ran (those in scripts too), for each task."""
        self.server.client.config_resetstat()
        action()
        found = self.server.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): value["calls"] for name, value in found.items()}
        commands = sum(count for name, count in calls.items() if name not in BOOKKEEPING | BY_THE_CLOCK)
        return {"scripts": calls.get("evalsha", 0) / tasks, "commands": commands / tasks}


def measure(binary: str) -> Costs:
    """The costs of this checkout."""
    server = Server(binary)
    try:
        return {name: scene(Bench(server)) for name, scene in SCENES.items()}
    finally:
        server.close()


def _enqueue(bench: Bench) -> dict[str, float]:
    return bench.cost(bench.enqueue)


def _bulk(bench: Bench) -> dict[str, float]:
    return bench.cost(lambda: bench.enqueue(MANY), MANY)


def _alike(bench: Bench) -> dict[str, float]:
    alike = Alike(bench.queue, NewTask(id="", type="noop"))
    return bench.cost(lambda: alike.enqueue(str(uuid.uuid4()), PAYLOAD))


def _alike_bulk(bench: Bench) -> dict[str, float]:
    alike = Alike(bench.queue, NewTask(id="", type="noop"))
    return bench.cost(lambda: alike.enqueue_many([str(uuid.uuid4()) for _ in range(MANY)], [PAYLOAD] * MANY), MANY)


def _idle(bench: Bench) -> dict[str, float]:
    return bench.cost(lambda: bench.queue.claim(WORKER))


def _claim(bench: Bench) -> dict[str, float]:
    bench.enqueue()
    return bench.cost(bench.claim)


def _retry(bench: Bench) -> dict[str, float]:
    attempt = bench.run()
    return bench.cost(lambda: bench.queue.retry(WORKER, attempt, 60, "boom", DETAIL))


def _fail(bench: Bench) -> dict[str, float]:
    attempt = bench.run()
    return bench.cost(lambda: bench.queue.fail(WORKER, attempt, "boom", DETAIL))


def _busy(bench: Bench) -> dict[str, float]:
    """A worker runs many tasks and ends: of its own it needs a claim more than there are tasks, and a leave."""
    bench.enqueue(MANY)
    slot, registry, left = Board(1).slot(0), Registry(), [MANY]

    def handler(payload: Any) -> None:
        time.sleep(RUN_S)
        left[0] -= 1
        if not left[0]:
            slot.order_drain()

    def child() -> None:
        os.setpgid(0, 0)
        link = Link(bench.server.url)
        Worker(WORKER, Queue(link, prefix="guard"), registry, slot).run()

    def run() -> None:
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(END_LIMIT_S)
        assert process.exitcode == 0

    registry.add("noop", handler, Options())
    return bench.cost(run, MANY)


def _record(bench: Bench) -> dict[str, float]:
    """Fields and bytes of a small completed task, and the other keys that have its id."""
    bench.enqueue()
    attempt = bench.claim()
    bench.queue.complete(WORKER, attempt, b"null")
    client, key = bench.server.client, bench.queue.keys.task(attempt.id)
    fields: Any = client.hgetall(key)
    return {
        "fields": len(fields),
        "bytes": len(key) + sum(len(name) + len(value) for name, value in fields.items()),
        "compact": float(client.object("encoding", key) == b"listpack"),
        "indexes": sum(_holds(client, name, attempt.id) for name in client.scan_iter(match="{guard:default}:*")),
    }


def _holds(client: Any, name: bytes, task_id: str) -> bool:
    return client.type(name) == b"zset" and client.zscore(name, task_id) is not None


DETAIL = ErrorDetail(kind=ErrorKind.EXCEPTION, message="boom")

SCENES: Mapping[str, Callable[[Bench], dict[str, float]]] = MappingProxyType(
    {
        "enqueue": _enqueue,
        "enqueue 50 at once, each": _bulk,
        "enqueue from Python": _alike,
        "enqueue 50 from Python at once, each": _alike_bulk,
        "claim": _claim,
        "claim without a task": _idle,
        "a busy worker, each task": _busy,
        "retry": _retry,
        "fail": _fail,
        "record of a completed task": _record,
    }
)


def worse(found: Costs, baseline: Costs) -> list[str]:
    """What costs more than the baseline allows, in sentences. `compact` is better when it is more."""
    return [
        f"{name}: {figure} is {value:g}, the baseline {baseline[name][figure]:g}"
        for name, figures in found.items()
        for figure, value in figures.items()
        if (value < baseline[name][figure] if figure == "compact" else value > baseline[name][figure])
    ]


def baseline() -> Costs:
    """What is allowed."""
    return msgspec.json.decode(BASELINE.read_bytes(), type=Costs)


def main() -> int:
    """Show or write; the exit code."""
    found = measure(os.environ.get("TASKQ_TEST_SERVER") or str(find_binary()))
    if "--write" in sys.argv[1:]:
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        return 0
    with contextlib.suppress(FileNotFoundError):
        for line in worse(found, baseline()):
            print(line, file=sys.stderr)
    print(msgspec.json.format(msgspec.json.encode(found)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
