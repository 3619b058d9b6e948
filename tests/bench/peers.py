"""Who takes part, in the settings that the documentation of each advises for throughput."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

WORKERS = 2


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One way to run tasks. `requires` is what pip or, with `node`, npm installs; nothing: it runs in our own environment.

    `worker` is the command of the workers, with {bin}, {python}, {program}, {workers}, {prefetch}; `copies`: it is started
    once for each worker. `tasks` is how many it drains or enqueues in a few seconds. `acks`: a task outlives the death of
    its worker.
    """

    name: str
    program: str
    worker: tuple[str, ...]
    tasks: int
    settings: str
    requires: tuple[str, ...] = ()
    version_of: str = ""
    node: bool = False
    copies: bool = False
    python: bool = True
    acks: bool = True


_ALL = (
    Peer(
        name="floor",
        program="with_floor.py",
        worker=("{python}", "{program}", "work", "{prefetch}"),
        tasks=60_000,
        settings="the scripts of taskq in a bare loop on a bare socket; with `prefetch` 16 a trip",
        copies=True,
        python=False,
    ),
    Peer(
        name="taskq",
        program="with_taskq.py",
        worker=("{python}", "-m", "taskq", "run", "--config", "{config}"),
        tasks=60_000,
        settings="taskq run, API and maintenance included; logging.level warning, as the peers log",
        version_of="taskq",
        python=False,
    ),
    Peer(
        name="celery",
        program="with_celery.py",
        worker=(
            "{bin}/celery",
            "-A",
            "with_celery",
            "worker",
            "-c",
            "{workers}",
            "-P",
            "prefork",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "-l",
            "WARNING",
        ),
        tasks=6_000,
        settings="prefork, Redis broker and results, acks_late, prefetch 64",
        requires=("celery[redis]",),
        version_of="celery",
    ),
    Peer(
        name="rq",
        program="with_rq.py",
        worker=("{bin}/rq", "worker-pool", "-n", "{workers}", "-q", "-u", "{url}", "default"),
        tasks=500,
        settings="worker-pool, a fork for each job",
        requires=("rq", "hiredis"),
        version_of="rq",
    ),
    Peer(
        name="dramatiq",
        program="with_dramatiq.py",
        worker=("{bin}/dramatiq", "with_dramatiq", "-p", "{workers}", "-t", "8"),
        tasks=10_000,
        settings="8 threads, no results",
        requires=("dramatiq[redis]", "hiredis"),
        version_of="dramatiq",
    ),
    Peer(
        name="huey",
        program="with_huey.py",
        worker=("{bin}/huey_consumer", "with_huey.huey", "-w", "{workers}", "-k", "process", "-n", "-q"),
        tasks=30_000,
        settings="process workers, no periodic tasks; loses what a dying worker runs",
        requires=("huey", "redis", "hiredis"),
        version_of="huey",
        acks=False,
    ),
    Peer(
        name="taskiq",
        program="with_taskiq.py",
        worker=(
            "{bin}/taskiq",
            "worker",
            "with_taskiq:broker",
            "--workers",
            "{workers}",
            "--log-level",
            "WARNING",
        ),
        tasks=15_000,
        settings="Redis streams with results, async tasks",
        requires=("taskiq-redis", "hiredis"),
        version_of="taskiq",
    ),
    Peer(
        name="arq",
        program="with_arq.py",
        worker=("{bin}/arq", "with_arq.WorkerSettings", "--custom-log-dict", "with_arq.LOGGING"),
        tasks=4_000,
        settings="max_jobs 100, poll_delay 10 ms",
        requires=("arq", "hiredis"),
        version_of="arq",
        copies=True,
    ),
    Peer(
        name="saq",
        program="with_saq.py",
        worker=("{bin}/saq", "with_saq.settings", "--workers", "{workers}", "--quiet"),
        tasks=10_000,
        settings="concurrency 10",
        requires=("saq[redis,hiredis]", "typing_extensions"),
        version_of="saq",
    ),
    Peer(
        name="streaq",
        program="with_streaq.py",
        worker=("{bin}/streaq", "run", "with_streaq:worker", "--workers", "{workers}"),
        tasks=6_000,
        settings="concurrency 16",
        requires=("streaq",),
        version_of="streaq",
    ),
    Peer(
        name="bullmq",
        program="with_bullmq.mjs",
        worker=("node", "{program}", "work"),
        tasks=30_000,
        settings="Node, concurrency 50",
        requires=("bullmq", "ioredis"),
        version_of="bullmq",
        node=True,
        copies=True,
        python=False,
    ),
)

PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in _ALL})
