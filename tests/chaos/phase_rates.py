"""Phases that measure rather than break: how much a poison task slows the others, and whether quiet runs repeat nothing."""

from __future__ import annotations

import time

from taskq.task import Priority

from .load import Feed, Order
from .stage import Evidence, Stage, orders, pool

WORKERS = 4
DEPTH = 400
"""Tasks kept waiting, so that the rate is what the workers can do."""

POISON_EVERY_S = 0.5
SLICE_S = 0.1


def poison(stage: Stage) -> Evidence:
    """The same load twice, the second time with tasks that kill every worker; they come first in the queue."""
    host = stage.host({"pools": pool(WORKERS), "logging": {"level": "warning"}})
    feed = stage.feed(host.url())
    _keep_busy(feed, 1.0)
    stage.recorder.note("mark", "without", host.pid)
    _keep_busy(feed, stage.plan.rate_s)
    stage.recorder.note("mark", "with", host.pid)
    _keep_busy(feed, stage.plan.rate_s, poisoned=True)
    stage.recorder.note("mark", "after", host.pid)
    return stage.finish()


def calm(stage: Stage) -> Evidence:
    """Many tasks that do nothing, and no fault."""
    host = stage.host({"pools": pool(2), "logging": {"level": "warning"}})
    feed = stage.feed(host.url())
    feed.add(orders("noop") * stage.plan.calm_tasks)
    stage.wait(lambda: _drained(feed), 60.0 + stage.plan.calm_tasks / 500)
    return stage.finish()


def _keep_busy(feed: Feed, seconds: float, *, poisoned: bool = False) -> None:
    ends_at = time.monotonic() + seconds
    next_poison = time.monotonic()
    while (now := time.monotonic()) < ends_at:
        missing = DEPTH - feed.waiting()
        if missing > 0:
            feed.add(orders("busy", seconds=0.005) * missing)
        if poisoned and now >= next_poison:
            feed.add([Order("poison", priority=Priority.HIGH)])
            next_poison += POISON_EVERY_S
        time.sleep(SLICE_S)


def _drained(feed: Feed) -> bool:
    counts = feed.inspector.state(feed.queue.name).counts
    return not any(count for status, count in counts.items() if not status.final)
