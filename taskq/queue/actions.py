"""The steps of an operation: find the next tasks, then do to each of them what was asked for.

A step that is done again, because whoever did it died before he could say so, does nothing twice: the tasks of a step are
stored before it begins, and each verb knows the operation's token.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from taskq.errors import TaskNotFound, TaskSpared, UniqueKeyTaken
from taskq.queue.answers import Guard
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Action, Fault, Kind, Operation, Rest
from taskq.queue.selection import STEP, Filter, Found, Place, Walk, select, sources
from taskq.task import Status

BATCH = 200
"""Tasks of one step."""

MOST_ERRORS = 20

AMONG = {
    Kind.CANCEL: (Status.SCHEDULED, Status.PENDING, Status.PROCESSING),
    Kind.REQUEUE: (Status.FAILED, Status.CANCELLED),
    Kind.DELETE: tuple(Status),
}
"""The statuses that a task may have for something to be done to it."""


class Count(NamedTuple):
    """How many tasks an action would be done to, the first of them as queue and id, and whether that is all of them: the
    search may have taken too long."""

    matched: int
    sample: list[tuple[str, str]]
    exact: bool


def step(inspector: Inspector, operation: Operation) -> Operation:
    """Do the next step; returns the operation after it, with what is left. Raises QueueUnavailable, QueueFull or
    QueueRefused, and may then be done again."""
    rest = operation.rest or Rest()
    for queue, task_id in rest.batch:
        operation = _perform(inspector, operation, queue, task_id)
    if rest.found_all:
        return replace(operation, rest=None)
    following = find(inspector, operation.action, operation.created_at_ms, rest)
    return replace(operation, rest=following, matched=operation.matched + len(following.batch))


def find(inspector: Inspector, action: Action, upto_ms: int, rest: Rest, most: int = 0) -> Rest:
    """The tasks of the next step, at most so many (0: as in a step). A search may find none and not be over."""
    if action.ids is not None:
        ids = action.ids[rest.at : rest.at + BATCH]
        places = [(inspector.locate(task_id) or "", task_id) for task_id in ids]
        at = rest.at + len(ids)
        return Rest(batch=places, at=at, found_all=at >= len(action.ids))
    wanted = action.filter or Filter()
    queues = [name for name in _queues(inspector, wanted) if name >= rest.queue]
    if not queues:
        return Rest(found_all=True)
    name = queues[0]
    source, after = (rest.source, _place(rest)) if name == rest.queue else (0, None)
    among = (wanted.status,) if wanted.status is not None else AMONG[action.kind]
    indexes = sources(inspector.queue(name), among)
    walk = _walk(wanted, upto_ms, after, indexes[source])._replace(among=among, enough=most or BATCH)
    found = select(inspector.queue(name), indexes[source], wanted, walk)
    batch = [(name, entry.id) for entry in found.entries]
    if not found.ended:
        return _onward(batch, name, source, found)
    if source + 1 < len(indexes):
        return Rest(batch=batch, queue=name, source=source + 1)
    return Rest(batch=batch, queue=name + "\x00", found_all=len(queues) == 1)


def count(inspector: Inspector, action: Action, upto_ms: int, limit_s: float, sample: int) -> Count:
    """How many tasks the action would be tried on, looked for during `limit_s` at most."""
    deadline = time.monotonic() + limit_s
    matched = 0
    first: list[tuple[str, str]] = []
    for batch in _batches(inspector, action, upto_ms):
        there = [place for place in batch if place[0]]
        matched += len(there)
        first += there[: sample - len(first)]
        if time.monotonic() > deadline:
            return Count(matched, first, exact=False)
    return Count(matched, first, exact=True)


def _batches(inspector: Inspector, action: Action, upto_ms: int) -> Iterator[list[tuple[str, str]]]:
    rest = Rest()
    while not rest.found_all:
        rest = find(inspector, action, upto_ms, rest, STEP)
        yield rest.batch


def _perform(inspector: Inspector, operation: Operation, name: str, task_id: str) -> Operation:
    try:
        done = bool(name) and _apply(inspector, operation, name, task_id)
    except TaskSpared:
        done = False
    except UniqueKeyTaken as error:
        errors = [*operation.errors, Fault(task_id, str(error))][:MOST_ERRORS]
        return replace(operation, failed=operation.failed + 1, errors=errors)
    if done:
        return replace(operation, done=operation.done + 1)
    return replace(operation, skipped=operation.skipped + 1)


def _apply(inspector: Inspector, operation: Operation, name: str, task_id: str) -> bool:
    """Whether the task was, by this operation, cancelled, requeued or deleted."""
    queue, action = inspector.queue(name), operation.action
    only = action.filter.status if action.filter is not None else None
    guard = Guard(operation.id.replace("-", "")[:16], only, operation.created_at_ms)
    try:
        if action.kind is Kind.CANCEL:
            return not queue.cancel(task_id, action.reason, guard).final
        if action.kind is Kind.REQUEUE:
            return queue.requeue(task_id, guard=guard) in AMONG[Kind.REQUEUE]
        queue.delete(task_id, guard)
    except TaskNotFound:
        return action.kind is Kind.DELETE  # it was there when the step began
    return True


def _queues(inspector: Inspector, wanted: Filter) -> list[str]:
    names = inspector.queue_names()
    return names if wanted.queue is None else [name for name in names if name == wanted.queue]


def _walk(wanted: Filter, upto_ms: int, after: Place | None, index: str) -> Walk:
    """Up the scores, which are moments of creation or of the end, and not beyond the moment of the operation."""
    creation = index.endswith(":tasks")
    from_ms = wanted.created_from_ms if creation else wanted.finished_from_ms
    until_ms = wanted.created_until_ms if creation else wanted.finished_until_ms
    if after is None and from_ms is not None:
        after = Place(from_ms, "")
    bound = upto_ms if until_ms is None else min(upto_ms, until_ms - 1)
    return Walk(after, bound=bound)


def _place(rest: Rest) -> Place | None:
    return None if rest.score is None else Place(rest.score, rest.last)


def _onward(batch: list[tuple[str, str]], name: str, source: int, found: Found) -> Rest:
    score, last = found.reached or Place(0, "")
    return Rest(batch=batch, queue=name, source=source, score=score, last=last)
