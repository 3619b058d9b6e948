"""Phases whose faults hit what serves the workers: maintenance, API, embedded server, supervisor, and Redis itself."""

from __future__ import annotations

import signal
import time

from .load import steady
from .services import Host
from .stage import Evidence, Stage, orders, pool

WORKERS = 4
FROZEN_WORKERS = 4
HELD = 3
"""Long tasks that the workers of a frozen supervisor run at least, if chance gives them so many."""

BREATH_S = 2.0
"""Between two faults: none may hide the recovery from another."""

VOUCHED_S = 2.5
"""For so long a supervisor's word about its workers counts after it was stopped."""


def daemons(stage: Stage) -> Evidence:
    """SIGKILL for each process that is no worker, one at a time; the supervisor is started again."""
    host = stage.host({"pools": pool(WORKERS)})
    for _ in range(2):
        stage.load(host, steady(stage.rng, 10.0, orders("busy", seconds=0.02) + orders("nap", seconds=0.15)))
    time.sleep(BREATH_S / 2)
    for fault in (_maintenance, _api, _broker, _supervisor) * stage.plan.daemon_rounds:
        fault(stage, host)
        time.sleep(BREATH_S)
    return stage.finish()


def outages(stage: Stage) -> Evidence:
    """SIGKILL for Redis while two services work on it; it comes back with what its append-only file holds."""
    server = stage.server()
    config = {"redis": {"url": server.url}, "pools": pool(3)}
    kinds = orders("quick") + orders("busy", "nap", seconds=0.02)
    for _ in range(2):
        stage.load(stage.host(config), steady(stage.rng, 30.0, kinds))
    time.sleep(BREATH_S / 2)
    for _ in range(stage.plan.outages):
        stage.recorder.note("down", "redis", server.pid)
        server.kill()
        time.sleep(stage.rng.uniform(0.05, 1.5))
        server.start()
        stage.recorder.note("up", "redis", server.pid)
        time.sleep(BREATH_S)
    return stage.finish()


def freezes(stage: Stage) -> Evidence:
    """SIGSTOP for one of two supervisors for two leases. Its workers run on without a renewal, some of them beyond."""
    leases = stage.evidence.leases = stage.plan.freeze
    server = stage.server()
    config = {"redis": {"url": server.url}, "leases": leases.config()}
    frozen = stage.host({**config, "pools": pool(FROZEN_WORKERS)})
    other = stage.host({**config, "pools": pool(3 * FROZEN_WORKERS)})  # room for what both hold
    feed = stage.feed(server.url)
    pause_s = 2 * leases.lease + VOUCHED_S
    stage.load(other, steady(stage.rng, 20.0, orders("quick", "stumble")))
    for _ in range(stage.plan.freezes):
        for _ in range(2 * FROZEN_WORKERS):
            if len(frozen.pids("worker default running nap")) < HELD:
                feed.add(orders("nap", seconds=pause_s - 0.5))
                time.sleep(0.05)
        victims = frozen.pids("worker")
        stage.recorder.strike(signal.SIGSTOP, "down", "supervisor", frozen.pid)
        for pid in victims:
            stage.recorder.note("frozen", "supervisor", pid)
        time.sleep(pause_s)
        stage.recorder.strike(signal.SIGCONT, "up", "supervisor", frozen.pid)
        stage.wait(lambda: len(frozen.pids("worker default")) == FROZEN_WORKERS, BREATH_S)
    return stage.finish()


def _maintenance(stage: Stage, host: Host) -> None:
    """Maintenance dies together with a worker, so that somebody has to be told of that death."""
    stage.wait(lambda: bool(host.pids("worker default running")), BREATH_S)
    workers = host.pids("worker default running") or host.pids("worker")
    stage.recorder.strike(signal.SIGKILL, "down", "maintenance", host.pids("maintenance")[0])
    stage.recorder.strike(signal.SIGKILL, "kill", "any", workers[0])


def _api(stage: Stage, host: Host) -> None:
    stage.recorder.strike(signal.SIGKILL, "down", "api", host.pids("api")[0])


def _broker(stage: Stage, host: Host) -> None:
    stage.recorder.strike(signal.SIGKILL, "down", "broker", host.broker())


def _supervisor(stage: Stage, host: Host) -> None:
    """Everything dies with it, except the embedded server, which ends cleanly; then it is started again."""
    for pid in host.pids("worker"):
        stage.recorder.note("lost", "supervisor", pid)
    stage.recorder.note("down", "supervisor", host.pid)
    host.kill()
    stage.recorder.note("gone", "supervisor", host.pid)
    host.start()
    stage.recorder.note("up", "supervisor", host.pid)
