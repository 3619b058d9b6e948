"""Why a task is not running: one reason, in a word and in a sentence. Pure, but for what `waiting` and `Looks` ask Redis."""

from __future__ import annotations

import threading

from msgspec import UNSET

from taskq.api.shapes import Waiting
from taskq.api.views import millisecond
from taskq.queue.inspect import Inspector
from taskq.queue.limits import Bound
from taskq.queue.standing import Place, Standing, both, standing
from taskq.task import Status, Task
from taskq.units import format_rate

MOST_PLACES = 1024
"""Of so many tasks that wait it is known where to look."""


def waiting(inspector: Inspector, task: Task) -> Waiting | None:
    """The member `waiting` of a task; None for one that does not wait. Raises QueueUnavailable or QueueRefused."""
    if task.status is Status.SCHEDULED:
        return _until_due(task)
    if task.status is Status.PENDING:
        return explain(task, standing(inspector, task))
    return None


class Looks:
    """Shows tasks. One that was seen to wait is likely to wait still: then it and its place are read in one trip. Safe in
    threads."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._lock = threading.Lock()
        self._places: dict[str, Place] = {}

    def at(self, task_id: str) -> tuple[Task | None, Waiting | None]:
        """The task, None for none, and its member `waiting`. Raises QueueUnavailable or QueueRefused."""
        place, task, found = self._places.get(task_id), None, None
        if place is not None:
            task, found = both(self._inspector, place)
        if task is None:
            task = self._inspector.get(task_id)
        self._remember(task_id, task)
        if task is None:
            return None, None
        return task, waiting(self._inspector, task) if found is None else explain(task, found)

    def _remember(self, task_id: str, task: Task | None) -> None:
        pending = task is not None and task.status is Status.PENDING
        if pending is (task_id in self._places):
            return
        with self._lock:
            if task is None or not pending:
                self._places.pop(task_id, None)
                return
            self._places[task_id] = Place(task_id, task.queue, task.type, task.priority)
            if len(self._places) > MOST_PLACES:
                del self._places[next(iter(self._places))]


def explain(task: Task, found: Standing) -> Waiting:
    """The first thing that would have to change before anything else can."""
    reason, detail, since_ms = _reason(task, found)
    return Waiting(
        reason=reason,
        position=UNSET if found.ahead is None else found.ahead,
        detail=detail,
        since=UNSET if since_ms is None else millisecond(since_ms),
    )


def _until_due(task: Task) -> Waiting:
    when = millisecond(task.run_at_ms or 0)
    if task.retries > 0:
        detail = f"the last attempt failed; retry {task.retries} of {task.max_retry} is due at {when}"
        return Waiting(reason="backoff", detail=detail)
    return Waiting(reason="run_at", detail=f"it is due at {when}")


def _reason(task: Task, found: Standing) -> tuple[str, str, int | None]:
    """A word, a sentence, and since when it is so if that is known."""
    if found.paused is not None:
        why = f": {found.paused.reason}" if found.paused.reason else ""
        return "queue_paused", f"the queue {task.queue} is paused{why}", found.paused.since_ms
    if found.workers == 0:
        return "no_worker", f"no live worker serves the queue {task.queue}", None
    if found.servers == 0:
        sentence = f"no live worker of the queue {task.queue} serves the type {task.type}; one that takes it will fail it"
        return "no_worker_for_type", sentence, None
    if found.bound is not None and (limit := _at_limit(task, found.bound)):
        return limit
    if found.ahead is None:
        return "starting", "a worker has just been handed it", None
    busy, since_ms = _workers(found)
    if found.ahead > 0:
        return "behind_others", f"{_others(found)}{busy}", since_ms
    if found.idle == 0:
        return "workers_busy", f"it is the next one{busy}", since_ms
    return "starting", "it is the next one and a worker is free", None


def _at_limit(task: Task, bound: Bound) -> tuple[str, str, int | None] | None:
    """What the limits of its type say against its start; None when nothing does."""
    most, rate = bound.limit
    behind = f"; {_count(bound.ahead)} before it" if bound.ahead else ""
    if 0 < most <= bound.running:
        sentence = f"{bound.running} of at most {most} tasks of the type {task.type} are running{behind}"
        return "concurrency_limit", sentence, bound.full_since_ms
    if bound.next_ms is not None:
        sentence = f"the type {task.type} may start {format_rate(rate)}; the next one can at {millisecond(bound.next_ms)}"
        return "rate_limit", sentence + behind, bound.started_ms
    return None


def _count(tasks: int) -> str:
    return "1 task of this type starts" if tasks == 1 else f"{tasks} tasks of this type start"


def _others(found: Standing) -> str:
    more = "at least " if found.beyond else ""
    tasks = "1 task starts" if found.ahead == 1 and not found.beyond else f"{more}{found.ahead} tasks start"
    return f"{tasks} before it" + (f", {found.higher} of a higher priority" if found.higher else "")


def _workers(found: Standing) -> tuple[str, int | None]:
    if found.idle != 0:
        return "", None
    who = "the only worker is" if found.workers == 1 else f"all {found.workers} workers are"
    since = f" since {millisecond(found.busy_since_ms)}" if found.busy_since_ms is not None else ""
    return f"; {who} busy{since}", found.busy_since_ms
