"""What slow clients take from the others, with the limits as they are and behind conf/nginx.conf.

    python -m tests.bench.slow [--drips N] [--rounds N]

Starts a server, an API with the default settings and nginx. In turns, for some seconds each, four clients POST tasks over
one connection each: directly and through nginx (with TLS), alone and beside N slow clients. Of those a third each sends a
header, sends a body, and reads an answer of a megabyte, at a byte every two seconds. Whoever is cut off comes again.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from taskq.queue.connection import Link
from taskq.queue.queue import Queue
from tests.bench.waiting import api
from tests.drips import dripping
from tests.integration.servers import own_server
from tests.integration.steps import new
from tests.nginx import NAME, Client, nginx

CLIENTS = 4
STORED, PAYLOAD_BYTES = 500, 2000
ROUND_S = 12.0
SETTLE_S = 12.0
"""How long slow clients are there before others are measured: they are first cut off in the middle of that."""
BODY = '{"type": "echo", "payload": "Hello World"}'
HEADERS = {"Content-Type": "application/json", "Host": NAME}

Connect = Callable[[], http.client.HTTPConnection]


class Way(NamedTuple):
    """One way to the API: how an honest client connects, and how slow ones do."""

    name: str
    connect: Connect
    drips: Callable[[int], AbstractContextManager[None]]


def posts_s(connect: Connect, seconds: float) -> list[float]:
    """The seconds that each POST took of CLIENTS clients, processes of their own."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(CLIENTS)]
    processes = [context.Process(target=_post, args=(connect, seconds, theirs)) for _, theirs in pipes]
    for process, (_, theirs) in zip(processes, pipes, strict=True):
        process.start()
        theirs.close()
    found = [took for ours, _ in pipes for took in ours.recv()]
    for process in processes:
        process.join()
    return found


def _post(connect: Connect, seconds: float, result: Connection) -> None:
    found = []
    with closing(connect()) as connection:
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            connection.request("POST", "/tasks", BODY, HEADERS)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201, answer.status
            found.append(time.perf_counter() - began)
    result.send(found)


def row(name: str, rounds: Sequence[Sequence[float]], seconds: float) -> str:
    rates = [len(found) / seconds for found in rounds]
    cuts = statistics.quantiles([took * 1000 for found in rounds for took in found], n=100)
    longest = max(took for found in rounds for took in found) * 1000
    return f"| {name} | {statistics.median(rates):,.0f} | {cuts[49]:.1f} | {cuts[98]:.1f} | {longest:.0f} |"


def measure(ways: Sequence[Way], drips: int, rounds: int) -> None:
    found: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for way in ways:
            for count in (0, drips):
                with way.drips(count) if count else nullcontext():
                    time.sleep(SETTLE_S if count else 0)
                    found.setdefault(f"{way.name}, {count or 'no'} slow clients", []).append(posts_s(way.connect, ROUND_S))
    print("| `POST /tasks` of 4 clients | a second | p50, ms | p99, ms | longest, ms |\n|---|---|---|---|---|")
    for name, each in found.items():
        print(row(name, each, ROUND_S))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slow", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--drips", type=int, default=500, help="slow clients")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tq-") as directory,
        own_server() as server,
        api(server.url) as address,
        nginx(Path(directory), address) as front,
        closing(Link(server.url)) as link,
    ):
        Queue(link).enqueue_many([new(payload=b'"%s"' % (b"x" * PAYLOAD_BYTES)) for _ in range(STORED)])
        ways = [
            Way("directly", lambda: http.client.HTTPConnection(*address), lambda count: dripping(address, count)),
            Way("through nginx", lambda: Client(front), lambda count: dripping(front.address, count, front.trust, NAME)),
        ]
        measure(ways, options.drips, options.rounds)


if __name__ == "__main__":
    main()
