"""Phases whose faults hit workers: killed in every phase of a task, stopped beyond their lease, silent for good."""

from __future__ import annotations

import signal
import time

from taskq.task import ErrorDetail, ErrorKind, Priority

from .faults import Watcher, send
from .load import Feed, bursts
from .plan import SHORT_LEASES
from .services import Host, alive
from .stage import Evidence, Stage, orders, pool

KILL_POINTS = ("P2", "P3", "P4", "P5", "P6")
KILL_CHANCES = {"P2": 0.05, "P3": 0.05, "P4": 0.03, "P5": 0.03, "P6": 0.03}
KILLED_WORKERS = 8
STOPPED_WORKERS = 24
SILENT_EACH = 4
"""Workers stopped while they run a task, and as many while they wait for one."""

CROWD = 250
"""Workers that died within the last minute, more than one search for lapsed leases returns at a time."""

RESPAWN_LIMIT_S = 12.0
LONGEST_PAUSE_S = 70.0


def kills(stage: Stage) -> Evidence:
    """SIGKILL in P2 to P6. The load comes in bursts: only a worker that waits meets P2 and P3."""
    watcher = stage.watcher()
    failpoints = ",".join(f"{point}=kill:{chance}" for point, chance in KILL_CHANCES.items())
    host = stage.host({"pools": pool(KILLED_WORKERS)}, failpoints=failpoints, hits=watcher.path)
    kinds = orders("quick", "stumble") + orders("busy", "nap", seconds=0.01)
    kinds += [order._replace(priority=priority) for order in kinds[:2] for priority in Priority]
    for _ in range(2):
        stage.load(host, bursts(stage.rng, KILLED_WORKERS // 2, 0.1, kinds))
    quota = stage.plan.kills_per_point
    stage.keep_on(stage.plan.kills_s, lambda: all(watcher.hits()[point] >= quota for point in KILL_POINTS))
    return stage.finish()


def stale(stage: Stage) -> Evidence:
    """SIGSTOP in P4 and P5 until the task has run elsewhere, SIGCONT then.

    A supervisor kills a stopped worker as soon as its lease has lapsed. So the whole machine pauses, supervisor and
    workers, and its workers wake first, as after a pause of a virtual machine; another one reruns the tasks.
    """
    stage.evidence.leases = SHORT_LEASES
    server, watcher = stage.server(), stage.watcher()
    config = {"redis": {"url": server.url}, "leases": SHORT_LEASES.config()}
    machine = stage.host({**config, "pools": pool(STOPPED_WORKERS)}, failpoints="P4=stop:0.5,P5=stop", hits=watcher.path)
    stage.host({**config, "pools": pool(3)})
    feed = stage.feed(server.url)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < 2 * stage.plan.stale_s:
        # each of them has been in P5 when it was resumed
        if passed >= stage.plan.stale_s and watcher.hits()["P5"] > 1.05 * stage.plan.stale_writes:
            break
        _pause(stage, machine, watcher, feed)
    stage.wait(lambda: len(machine.pids("worker default idle")) == STOPPED_WORKERS, RESPAWN_LIMIT_S)
    return stage.finish()


def silence(stage: Stage) -> Evidence:
    """Workers that are stopped and never resumed: some run a task, some wait for one and get it while they are stopped.

    Before that, many others died; they are remembered for a while, and must not hide who is silent.
    """
    leases = stage.evidence.leases = stage.plan.silence
    host = stage.host({"pools": pool(3 * SILENT_EACH), "leases": leases.config()})
    feed = stage.feed(host.url())
    stage.wait(lambda: len(host.pids("worker default idle")) == 3 * SILENT_EACH, RESPAWN_LIMIT_S)
    for number in range(CROWD):
        feed.queue.join(f"dead-{number}", leases.lease, b"{}")
        feed.queue.reap(f"dead-{number}", dead=True, max_crashes=1, error="", detail=ErrorDetail(kind=ErrorKind.CRASH))
    feed.add(orders("nap", seconds=1.0) * SILENT_EACH)
    stage.wait(lambda: len(host.pids("worker default running nap")) == SILENT_EACH, RESPAWN_LIMIT_S)
    for pid in host.pids("worker default running nap"):
        stage.recorder.strike(signal.SIGSTOP, "stop", "P4", pid)
    for pid in host.pids("worker default idle")[:SILENT_EACH]:
        stage.recorder.strike(signal.SIGSTOP, "stop", "P1", pid)
    feed.add(orders("quick") * 2 * SILENT_EACH)  # one for each that waits, stopped or not
    stage.wait(lambda: feed.ended(feed.accepted), leases.silence_s + 5.0)
    return stage.finish()


def _pause(stage: Stage, machine: Host, watcher: Watcher, feed: Feed) -> None:
    """Stop the machine with a task in every worker, and resume it once the tasks have ended elsewhere."""
    stage.wait(lambda: len(machine.pids("worker default idle")) == STOPPED_WORKERS, RESPAWN_LIMIT_S)
    before, added = watcher.hits().total(), list[str]()
    deadline = time.monotonic() + 1.5
    while watcher.hits().total() < before + STOPPED_WORKERS and time.monotonic() < deadline:
        added += feed.add(stage.rng.choices(orders("quick", "stumble"), k=STOPPED_WORKERS // 3))
        time.sleep(0.05)
    stage.recorder.strike(signal.SIGSTOP, "down", "supervisor", machine.pid)
    victims = machine.pids("worker")
    for pid in victims:
        stage.recorder.note("frozen", "supervisor", pid)
    stage.wait(lambda: feed.ended(added), LONGEST_PAUSE_S)
    for pid in victims:
        stage.recorder.note("cont", "-", pid)
    deadline = time.monotonic() + 2.0
    while any(alive(pid) for pid in victims) and time.monotonic() < deadline:
        for pid in victims:
            send(signal.SIGCONT, pid)  # twice for those that meet P4 and P5
        time.sleep(0.05)
    stage.recorder.strike(signal.SIGCONT, "up", "supervisor", machine.pid)
