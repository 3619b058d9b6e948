"""How soon after the end of a task a request that waits for it is answered.

    python -m tests.bench.waiting [--ends N] [--clients N]

Starts a server and an API of its own. A latency is measured from before the command that ends the task until the client has
read the answer. While `clients` others ask to wait as well, it is told how long one more takes to create a task.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import signal
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.api.server import Server
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.servers import own_server
from tests.integration.steps import claim, enqueued, joined, record, until

Address = tuple[str, int]


@contextmanager
def api(url: str) -> Iterator[Address]:
    """An API process with the default settings."""

    def child() -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        context = ApiContext(inspector=Inspector(Link(url)))
        server = Server(create_app(context), listening, context)
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        server.run()

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        try:
            yield listening.getsockname()
        finally:
            process.terminate()
            process.join()


def latencies_ms(address: Address, queue: Queue, ends: int, *, post: bool) -> list[float]:
    """For each of so many tasks, the time from its end to the answer."""
    worker = joined(queue)
    found = []
    with closing(http.client.HTTPConnection(*address)) as connection:
        for _ in range(ends):
            if post:
                connection.request("POST", "/tasks", '{"type": "echo"}', {"Prefer": "wait=30"})
            else:
                connection.request("GET", f"/tasks/{enqueued(queue)}?wait=30")
            until(lambda: queue.link.redis.info("clients")["blocked_clients"] == 1, "it waits")
            attempt = claim(queue, worker)
            began = time.perf_counter()
            queue.complete(worker, attempt, b"1")
            answer = json.loads(connection.getresponse().read())
            found.append((time.perf_counter() - began) * 1000)
            assert answer["status"] == "completed"
    return found


def crowd_s(address: Address, queue: Queue, clients: int) -> float:
    """The seconds until one POST is answered that comes after so many requests to wait."""
    task_id = enqueued(queue)
    with ExitStack() as stack:
        others = [stack.enter_context(closing(http.client.HTTPConnection(*address))) for _ in range(clients)]
        for other in others:
            other.request("GET", f"/tasks/{task_id}?wait=30")
        until(lambda: "awaited" in record(queue, task_id), "somebody waits")
        began = time.perf_counter()
        with closing(http.client.HTTPConnection(*address)) as one:
            one.request("POST", "/tasks", '{"type": "echo"}')
            assert one.getresponse().status == 201
        took_s = time.perf_counter() - began
        queue.cancel(task_id)
        for other in others:
            other.getresponse().read()
    return took_s


def row(name: str, values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"| {name} | {len(values)} | {cuts[49]:.1f} | {cuts[98]:.1f} | {max(values):.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.waiting", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ends", type=int, default=500, help="tasks to wait for")
    parser.add_argument("--clients", type=int, default=1000, help="requests to wait at the same time")
    options = parser.parse_args()
    with own_server() as server, api(server.url) as address, closing(Link(server.url)) as link:
        queue = Queue(link)
        print("| from the end of the task to the answer, ms | tasks | p50 | p99 | longest |\n|---|---|---|---|---|")
        print(row("`GET ?wait=30`", latencies_ms(address, queue, options.ends, post=False)))
        print(row("`POST`, `Prefer: wait=30`", latencies_ms(address, queue, options.ends, post=True)))
        print(f"\na POST behind {options.clients} requests to wait: {crowd_s(address, queue, options.clients):.2f} s")


if __name__ == "__main__":
    main()
