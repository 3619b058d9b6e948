"""Where a waiting task stands, read in one bounded step: what is before it, and who could take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from taskq.queue.inspect import Inspector, Pause, pause_from_hash
from taskq.queue.keys import PARKED_RANK
from taskq.queue.limits import Bound, bound_from_reply
from taskq.queue.line import evalsha
from taskq.queue.queue import Queue
from taskq.queue.record import task_from_hash
from taskq.queue.scripts import Script, load
from taskq.task import Priority, Status, Task

LOOK = 1 << 17
"""How far into a list a task is looked for; it takes the server about two milliseconds."""

BELLS = 100
"""Bells of one list that are looked for; there is hardly ever more than one."""

MOST_WORKERS = 1000
"""Workers that are looked at; of more, nobody is said to be busy or idle."""


class Place(NamedTuple):
    """What never changes of a task, and tells where it can stand."""

    id: str
    queue: str
    type: str
    priority: Priority


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
    return _standing(inspector, task, ask(inspector.queue(task.queue), task))


def both(inspector: Inspector, place: Place) -> tuple[Task | None, Standing | None]:
    """A task, and in the same trip where it stands. None for a task that is not there, for the place of one that is not
    pending, and for a place that has to be asked for again. Raises QueueUnavailable or QueueRefused."""
    queue = inspector.queue(place.queue)
    fields, reply = queue.link.hash_and(queue.keys.task(place.id), evalsha(*_question(queue, place)))
    task = task_from_hash(place.queue, place.id, fields) if fields else None
    if task is None or reply is None or task.status is not Status.PENDING:
        return task, None
    return task, _standing(inspector, task, reply)


def ask(queue: Queue, task: Task) -> Any:
    """What standing.lua answers about a pending task. Raises QueueUnavailable or QueueRefused."""
    return queue.link.script(*_question(queue, task))


def _question(queue: Queue, task: Task | Place) -> tuple[Script, list[str], list[Any]]:
    rank = list(Priority).index(task.priority) * PARKED_RANK
    script = load("standing")
    args = [task.id, str(task.priority), task.type, LOOK, BELLS, MOST_WORKERS, rank]
    return script, [getattr(queue.keys, key) for key in script.keys], args


def _standing(inspector: Inspector, task: Task, reply: Any) -> Standing:
    paused, index, length, bells, above, void, void_before, (workers, idle, busy_since_ms), limits = reply
    bound = bound_from_reply(limits)
    place = _place(task, None if index < 0 else index, length, bells, above)
    if place is not None and void:
        gone = void if void_before < 0 else void_before
        place = (max(place[1], place[0] - gone), place[1], place[2] or void_before < 0)
    if place is None and bound is not None and bound.ahead is not None and bound.higher is not None:
        place = (bound.ahead, bound.higher, False)
    ahead, higher, beyond = place or (None, None, False)
    types = inspector.types().get(task.queue)
    return Standing(
        paused=pause_from_hash(dict(zip(paused[::2], paused[1::2], strict=True))),
        ahead=ahead,
        higher=higher,
        beyond=beyond,
        workers=workers,
        idle=None if idle < 0 else idle,
        busy_since_ms=int(busy_since_ms) if busy_since_ms else None,
        servers=len(types.servers(task.type)) if types is not None and types.told_all() else None,
        bound=bound,
    )


def _place(task: Task, index: int | None, length: int, bells: Sequence[int], above: int) -> tuple[int, int, bool] | None:
    """How many start before the task, how many of these have a higher priority, and whether there may be more; None for a
    task in no list."""
    if index is None and length <= LOOK:
        return None
    own = LOOK if index is None else max(0, length - 1 - index)
    if task.priority is Priority.NORMAL:
        own -= sum(1 for bell in bells if index is None or bell > index)
    elif task.priority is Priority.LOW:
        above -= len(bells)
    return own + above, above, index is None
