"""What an action on many tasks costs: how fast it goes, and how long anybody else waits for the server meanwhile.

    python -m tests.bench.bulk [--tasks N] [--behind N]

Starts a server of its own, stores that many failed tasks, and as many others, and requeues, cancels and deletes the
first ones as maintenance does, in a process of its own; with `--behind` so many pending tasks stand before and among
those that are cancelled. Meanwhile another connection pings every half millisecond. The longest command is the server's
own account (SLOWLOG), without what a busy machine adds to a ping.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
import uuid
from contextlib import closing

from taskq.maintenance.operations import Operator
from taskq.queue.alike import STEP, enqueue_alike
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Action, Kind, Operation, Operations
from taskq.queue.queue import Queue
from taskq.queue.selection import Filter
from taskq.task import NewTask, Status
from tests.integration.servers import OwnServer, own_server
from tests.integration.steps import now_ms

SLOWER_THAN_US = 1000
PING_EVERY_S = 0.0005
WANTED = {
    Kind.REQUEUE: Filter(status=Status.FAILED, type="wanted"),
    Kind.CANCEL: Filter(status=Status.PENDING, type="wanted"),
    Kind.DELETE: Filter(status=Status.CANCELLED, type="wanted"),
}


def store(queue: Queue, tasks: int) -> None:
    """So many failed tasks of the type `wanted`, and between them as many of another type."""
    pipe = queue.link.redis.pipeline(transaction=False)
    for at in range(0, tasks, STEP):
        for type_ in ("wanted", "other"):
            ids, _ = enqueue_alike(queue, NewTask(id="", type=type_), [b"{}"] * min(STEP, tasks - at))
            now = now_ms(queue)
            for task_id in ids:
                pipe.hset(queue.keys.task(task_id), mapping={"status": "failed", "finished_at": now})
            pipe.zadd(queue.keys.failed, dict.fromkeys(ids, now))
        pipe.delete(queue.keys.pending)
        pipe.execute()


def carry_out(url: str) -> None:
    """Everything that is open, as a maintenance process does it."""
    with closing(Link(url)) as link:
        operator = Operator(Operations(Inspector(link)))
        while operator.operate():
            pass


def measure(server: OwnServer, kind: Kind) -> tuple[Operation, float, list[float], float]:
    """The operation, its seconds, the milliseconds of each ping and of the longest command."""
    client = server.client()
    client.config_set("slowlog-log-slower-than", SLOWER_THAN_US)
    client.slowlog_reset()
    with closing(Link(server.url)) as link:
        operations = Operations(Inspector(link))
        time.sleep(0.002)  # what was stored in this millisecond counts as stored before
        planned = operations.plan(str(uuid.uuid4()), Action(kind=kind, filter=WANTED[kind]))
        process = multiprocessing.get_context("fork").Process(target=carry_out, args=(server.url,))
        began, pings = time.perf_counter(), []
        process.start()
        while process.is_alive():
            sent = time.perf_counter()
            client.ping()
            pings.append((time.perf_counter() - sent) * 1000)
            time.sleep(PING_EVERY_S)
        took_s = time.perf_counter() - began
        slow = [entry["duration"] / 1000 for entry in client.slowlog_get(1000)]
        operation = operations.get(planned.id)
    client.close()
    assert operation is not None
    return operation, took_s, pings, max(slow, default=SLOWER_THAN_US / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bulk", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks to act on")
    parser.add_argument("--behind", type=int, default=0, help="other tasks in their list when they are cancelled")
    options = parser.parse_args()
    print("| action | done | s | tasks/s | ping p50, ms | p99.9 | longest | longest command |")
    print("|---|---|---|---|---|---|---|---|")
    with own_server() as server, closing(Link(server.url)) as link:
        store(Queue(link), options.tasks)
        enqueue_alike(Queue(link), NewTask(id="", type="other"), [b"{}"] * options.behind)
        for kind in (Kind.REQUEUE, Kind.CANCEL, Kind.DELETE):
            operation, took_s, pings, longest = measure(server, kind)
            assert (operation.state, operation.done) == ("completed", options.tasks), operation
            cuts = statistics.quantiles(pings, n=1000)
            times = f"{cuts[499]:.2f} | {cuts[998]:.2f} | {max(pings):.2f} | {longest:.2f}"
            print(f"| {kind} | {operation.done:,} | {took_s:.1f} | {operation.done / took_s:,.0f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
