"""What a queue can be like when something is done to it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from taskq.catalog import Published
from taskq.limits import Limit, Limits
from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.keys import BELL
from taskq.queue.limits import put_in_force
from taskq.queue.operations import Action, Kind, Operations, Rest
from taskq.queue.queue import Queue
from taskq.queue.requests import Request, Requests
from taskq.queue.schedules import Schedules
from taskq.queue.selection import Filter
from taskq.task import NewTask, Priority
from taskq.units import Rate
from tests.integration.steps import DETAIL, claim, lapse, moved, now_ms, record, schedule, trip, until

W = "w"
OFTEN = schedule("often")


def task(id_: str, **fields: Any) -> NewTask:
    return NewTask(id=id_, type="echo", **fields)


def idle(queue: Queue) -> None:
    queue.join("v", 60, b"{}")


def waiting(queue: Queue) -> None:
    """Three tasks wait, one is scheduled, and a worker has joined."""
    queue.enqueue_many([task("a"), task("b"), task("c", priority=Priority.HIGH), task("d", delay_s=30)])
    queue.join(W, 60, b"{}")


def running(queue: Queue) -> Any:
    """The worker runs c."""
    waiting(queue)
    return claim(queue, W)


def running_ahead(queue: Queue) -> Any:
    """The worker runs c and has claimed a."""
    attempt = running(queue)
    assert trip(queue, W, claims=1).claimed
    return attempt


def ended(queue: Queue) -> None:
    """c has failed, a is completed."""
    queue.fail(W, running(queue), "boom", DETAIL)
    queue.complete(W, claim(queue, W), b"1")


def due(queue: Queue) -> None:
    waiting(queue)
    queue.link.redis.zadd(queue.keys.scheduled, {"d": 1})


def aged(queue: Queue) -> None:
    ended(queue)
    queue.link.redis.zadd(queue.keys.failed, {"c": 1})


def claimed_unstarted(queue: Queue) -> None:
    waiting(queue)
    assert [moved(queue, W), moved(queue, W)] == [BELL, "a"]


def paused(queue: Queue) -> None:
    waiting(queue)
    gate.pause(queue)


def silent(queue: Queue) -> None:
    """The lease of the worker has lapsed; its list holds one started task, a claim and a bell."""
    running(queue)
    assert [moved(queue, W), moved(queue, W)] == [BELL, "a"]
    lapse(queue, W)


def long_unvisited(queue: Queue) -> None:
    """No maintenance has come for a hundred seconds."""
    running(queue)
    queue.lapsed(30)
    queue.link.redis.decrby(queue.keys.reaper, 100_000)


def stopped(queue: Queue) -> Any:
    attempt = running(queue)
    queue.cancel("c")
    return attempt


def limited(queue: Queue) -> None:
    waiting(queue)
    put_in_force(queue, Limits("one", {"echo": Limit(1, Rate(2, 3600))}))


def limited_running(queue: Queue) -> Any:
    limited(queue)
    return claim(queue, W)


def parked(queue: Queue) -> None:
    """c runs, and a second worker has found no room for the others."""
    limited_running(queue)
    queue.join("v", 60, b"{}")
    assert queue.claim("v") is None


def unannounced(queue: Queue) -> None:
    waiting(queue)
    queue.link.redis.delete(queue.keys.queues)


def overdue(queue: Queue) -> None:
    """A task waits that may no longer be started."""
    waiting(queue)
    queue.enqueue(task("e", expires_in_s=0.001))
    until(lambda: now_ms(queue) > int(record(queue, "e")["expires_at"]), "it has expired")


def schedules(queue: Queue) -> Schedules:
    return Schedules(Inspector(queue.link, prefix=queue.keys.prefix))


def installed(queue: Queue) -> int:
    return schedules(queue).install(OFTEN)


def held(queue: Queue) -> None:
    schedules(queue).publish([OFTEN], forget=False)
    installed(queue)
    schedules(queue).pause(OFTEN, "why")


DELETE_ALL = Action(kind=Kind.DELETE, filter=Filter(type="echo"))


def operations(queue: Queue) -> Operations:
    return Operations(Inspector(queue.link, prefix=queue.keys.prefix))


def taken(queue: Queue) -> Any:
    """An operation of which one step was done, but not noted."""
    operations(queue).plan("op", DELETE_ALL)
    operation = operations(queue).take("me")
    assert operation is not None
    return replace(operation, matched=2, rest=Rest(batch=[("default", "a"), ("default", "b")], queue="default"))


def counted_requests() -> Requests:
    requests = Requests("me")
    requests.count(Request("GET", "/tasks", 200))
    return requests


def published(queue: Queue) -> None:
    """A worker has told its types."""
    waiting(queue)
    queue.join("v", 60, b'{"catalog": "0123456789abcdef"}', Published("0123456789abcdef", b"{}"))


def minute_over(queue: Queue) -> None:
    """The minute in which something was counted is over."""
    ended(queue)
    queue.link.redis.set(f"{queue.keys.stats}:minute", 1)
