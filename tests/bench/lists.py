"""What a page of tasks costs, by filter, while a million tasks are stored.

    python -m tests.bench.lists [--tasks N]

Starts a server of its own. The times of scripts are the server's own account (SLOWLOG). `walk` is the time of all pages
until the first task is found: a page of a rare filter is empty and has a cursor to go on from.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import closing

from taskq.queue.alike import STEP, enqueue_alike
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.pages import Page
from taskq.queue.queue import Queue
from taskq.queue.selection import Filter
from taskq.task import NewTask, Status
from tests.integration.servers import own_server

LIMIT = 50
FILTERS = {
    "none": Filter(),
    "status=pending": Filter(status=Status.PENDING),
    "status=cancelled (5 tasks)": Filter(status=Status.CANCELLED),
    "type (half of the tasks)": Filter(type="b"),
    "type (1 task, the oldest)": Filter(type="rare"),
    "tag (1 task, the oldest)": Filter(tag="rare"),
    "type, tag, status": Filter(type="rare", tag="rare", status=Status.PENDING),
}


def store(queue: Queue, tasks: int) -> None:
    """Half of the tasks of one type and half of another; before them one that is like no other, and 5 cancelled ones."""
    queue.enqueue(NewTask(id="rare", type="rare", tags=("rare",)))
    cancelled = enqueue_alike(queue, NewTask(id="", type="a"), [b"{}"] * 5)[0]
    for task_id in cancelled:
        queue.cancel(task_id)
    for at in range(0, tasks, STEP):
        enqueue_alike(queue, NewTask(id="", type="ab"[at // STEP % 2], tags=("common",)), [b'{"n":1}'] * STEP)


def row(inspector: Inspector, name: str, wanted: Filter) -> str:
    client = inspector.link.redis
    client.slowlog_reset()
    began = time.perf_counter()
    first = inspector.page(wanted, limit=LIMIT)
    first_ms = (time.perf_counter() - began) * 1000
    page: Page = first
    while not page.tasks and page.cursor is not None:
        page = inspector.page(wanted, limit=LIMIT, cursor=page.cursor)
    walk_s = time.perf_counter() - began
    scripts = [entry for entry in client.slowlog_get(-1) if entry["command"].startswith(b"EVALSHA")]
    cuts = statistics.quantiles([entry["duration"] / 1000 for entry in scripts] * 2 or [0, 0], n=100)
    return f"| {name} | {len(first.tasks)} | {first_ms:.1f} | {walk_s:.2f} | {cuts[49]:.2f} | {cuts[98]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lists", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=1_000_000, help="tasks that are stored")
    options = parser.parse_args()
    with own_server() as server, closing(Link(server.url)) as link:
        store(Queue(link), options.tasks)
        server.client().config_set("slowlog-max-len", 100_000)
        server.client().config_set("slowlog-log-slower-than", 50)
        inspector = Inspector(link)
        deep = inspector.page(limit=LIMIT, newest_first=False).cursor
        print("| filter | tasks on the first page | ms | walk, s | script p50, ms | p99 |\n|---|---|---|---|---|---|")
        for name, wanted in FILTERS.items():
            print(row(inspector, name, wanted), flush=True)
        began = time.perf_counter()
        inspector.page(limit=LIMIT, cursor=deep)
        print(f"\na page behind {options.tasks:,} others: {(time.perf_counter() - began) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
