"""Which tasks are asked for, and finding them in bounded steps, so that no search holds up the server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from taskq.queue.queue import Queue
from taskq.queue.scripts import load
from taskq.task import ErrorKind, Status, Task

STEP = 250
"""Entries that one call looks at; it takes the server a few milliseconds."""


class Place(NamedTuple):
    """An entry of a sorted set to go on behind."""

    score: float
    id: str


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of a task; None for any. Of a period the first moment counts and the last does not, in ms."""

    status: Status | None = None
    type: str | None = None
    queue: str | None = None
    tag: str | None = None
    error_kind: ErrorKind | None = None
    created_from_ms: int | None = None
    created_until_ms: int | None = None
    finished_from_ms: int | None = None
    finished_until_ms: int | None = None

    def args(self, among: Collection[Status]) -> list[Any]:
        """The conditions as select takes them; the queue is none of them. The status is one of those `among`, if any are
        named."""
        statuses = f" {' '.join(among)} " if among else None
        asked = (statuses, self.type, self.tag, self.error_kind, self.created_from_ms, self.created_until_ms)
        return ["" if value is None else value for value in (*asked, self.finished_from_ms, self.finished_until_ms)]

    def accepts(self, task: Task) -> bool:
        """Whether a task is asked for."""
        return (
            (self.status is None or task.status is self.status)
            and (self.type is None or task.type == self.type)
            and (self.queue is None or task.queue == self.queue)
            and (self.tag is None or self.tag in task.tags)
            and (self.error_kind is None or (task.error_detail or {}).get("kind") == self.error_kind)
            and _within(task.created_at_ms, self.created_from_ms, self.created_until_ms)
            and _within(task.finished_at_ms, self.finished_from_ms, self.finished_until_ms)
        )


EVERYTHING = Filter()


class Found(NamedTuple):
    """The entries found, in order; the last one that was looked at (None: there was none), whether nothing is behind it, and
    how many were looked at."""

    entries: list[Place]
    reached: Place | None
    ended: bool
    looked_at: int


class Walk(NamedTuple):
    """How to go on through a sorted set: behind `after` (None: from the end on), not beyond the score `bound`, looking at
    `most` entries until `enough` are found whose status is `among` these (none: any)."""

    after: Place | None
    down: bool = False
    bound: int | None = None
    most: int = STEP
    enough: int = STEP
    among: Sequence[Status] = ()


def select(queue: Queue, index: str, wanted: Filter, walk: Walk) -> Found:
    """The next tasks of a sorted set that are asked for. Raises QueueUnavailable or QueueRefused."""
    score, task_id = ("", "") if walk.after is None else (f"{walk.after.score:.0f}", walk.after.id)
    bound = "" if walk.bound is None else walk.bound
    args = ["down" if walk.down else "up", score, task_id, bound, walk.most, walk.enough, *wanted.args(walk.among)]
    reply = queue.link.script(load("select"), [index, queue.keys.task_prefix], args)
    ended, at, last, looked_at, *found = reply
    reached = Place(float(at), last.decode()) if at else None
    entries = [Place(float(found[i]), found[i + 1].decode()) for i in range(0, len(found), 2)]
    return Found(entries, reached, bool(ended), looked_at)


def sources(queue: Queue, among: Sequence[Status]) -> list[str]:
    """The sorted sets in which the tasks of a queue with these statuses stand, each of them in one."""
    if among and all(status.final for status in among):
        return [queue.keys.ended(status) for status in among]
    return [queue.keys.tasks]


def _within(moment_ms: int | None, from_ms: int | None, until_ms: int | None) -> bool:
    if moment_ms is None:
        return from_ms is None and until_ms is None
    return (from_ms is None or moment_ms >= from_ms) and (until_ms is None or moment_ms < until_ms)
