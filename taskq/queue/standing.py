"""Where a waiting task stands, read in a few bounded commands: what is before it, and who could take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from taskq.queue.inspect import Inspector, Pause, pause_from_hash
from taskq.queue.keys import BELL, PAUSED, Keys
from taskq.queue.limits import Bound, bound_of
from taskq.task import Priority, Task

LOOK = 1 << 17
"""How far into a list a task is looked for; it takes the server about two milliseconds."""

BELLS = 100
"""Bells of one list that are looked for; there is hardly ever more than one."""

MOST_WORKERS = 1000
"""Workers that are looked at; of more, nobody is said to be busy or idle."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A pending task at a moment. `ahead` is how many tasks start before it, `higher` how many of these have a higher
    priority; both are at least what they say if `beyond`, and None for a task in no list: a worker has just been handed it.

    `workers` are the live ones of its queue, `idle` those of them that hold no task (None: too many to look at), and
    `busy_since_ms` is when the last of the others began what it runs. `servers` serve its type (None: not all have told).
    `bound` is what the limits of its type leave for it; a task that these keep waiting is counted among those of its type.
    """

    paused: Pause | None
    ahead: int | None
    higher: int | None
    beyond: bool
    workers: int
    idle: int | None
    busy_since_ms: int | None
    servers: int | None
    bound: Bound | None = None


def standing(inspector: Inspector, task: Task) -> Standing:
    """Look at a pending task. Raises QueueUnavailable or QueueRefused."""
    keys = inspector.queue(task.queue).keys
    paused, place = _place(inspector, keys, task)
    bound = bound_of(inspector.queue(task.queue), task)
    if place is None and bound is not None and bound.ahead is not None and bound.higher is not None:
        place = (bound.ahead, bound.higher, False)
    ahead, higher, beyond = place or (None, None, False)
    live = _live(inspector, keys)
    idle, busy_since_ms = _busy(inspector, keys, live) if len(live) <= MOST_WORKERS else (None, None)
    types = inspector.types().get(task.queue)
    return Standing(
        paused=paused,
        ahead=ahead,
        higher=higher,
        beyond=beyond,
        workers=len(live),
        idle=idle,
        busy_since_ms=busy_since_ms,
        servers=len(types.servers(task.type)) if types is not None and types.told_all() else None,
        bound=bound,
    )


def _place(inspector: Inspector, keys: Keys, task: Task) -> tuple[Pause | None, tuple[int, int, bool] | None]:
    """How many start before the task, how many of these have a higher priority, and whether there may be more."""
    before = [priority for priority in Priority if list(Priority).index(priority) < list(Priority).index(task.priority)]
    paused, *replies = _trip(
        inspector,
        lambda pipe: [pipe.hgetall(keys.paused), *(_look(pipe, keys, task, before, aside) for aside in ("", PAUSED))],
    )
    half = len(replies) // 2
    index, length, bells, *higher = replies[half:] if paused else replies[:half]
    pause = pause_from_hash(paused)
    if index is None and length <= LOOK:
        return pause, None
    own = LOOK if index is None else max(0, length - 1 - index)
    above = sum(higher)
    if task.priority is Priority.NORMAL:
        own -= sum(1 for bell in bells or () if index is None or bell > index)
    elif task.priority is Priority.LOW:
        above -= len(bells or ())
    return pause, (own + above, above, index is None)


def _look(pipe: Any, keys: Keys, task: Task, before: Sequence[Priority], aside: str) -> Any:
    """Put the commands on a pipeline that find the task and count what starts before it, in the lists with this ending."""
    lists = {Priority.HIGH: keys.high, Priority.NORMAL: keys.pending, Priority.LOW: keys.low}
    pipe.lpos(lists[task.priority] + aside, task.id, rank=-1, maxlen=LOOK)
    pipe.llen(lists[task.priority] + aside)
    pipe.lpos(keys.pending + aside, BELL, rank=-1, count=0, maxlen=BELLS)
    for priority in before:
        pipe.llen(lists[priority] + aside)
    return pipe


def _live(inspector: Inspector, keys: Keys) -> list[str]:
    now, leases = _trip(inspector, lambda pipe: (pipe.time(), pipe.zrange(keys.leases, 0, -1, withscores=True)))
    now_ms = now[0] * 1000 + now[1] / 1000
    return [worker.decode() for worker, ends_at in leases if ends_at > now_ms]


def _busy(inspector: Inspector, keys: Keys, workers: Sequence[str]) -> tuple[int, int | None]:
    """How many of the workers hold no task, and when the last of the others began what it runs."""
    held = _trip(inspector, lambda pipe: [pipe.lrange(keys.processing(worker), 0, 1) for worker in workers])
    ids = [next((entry for entry in entries if entry != BELL.encode()), None) for entries in held]
    busy = [task_id.decode() for task_id in ids if task_id is not None]
    began = _trip(inspector, lambda pipe: [pipe.hget(keys.task(task_id), "started_at") for task_id in busy])
    moments = [int(moment) for moment in began if moment is not None]
    return len(workers) - len(busy), max(moments, default=None)


def _trip(inspector: Inspector, commands: Callable[[Any], object]) -> list[Any]:
    def action(client: Any) -> list[Any]:
        pipe = client.pipeline(transaction=False)
        commands(pipe)
        return list(pipe.execute()) if len(pipe) else []

    return inspector.link.run(action)
