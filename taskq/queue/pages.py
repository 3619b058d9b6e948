"""Pages of tasks in the order of their creation, of one queue or of all, while tasks come and go.

A cursor names the last entry that was looked at, not a position, so that nothing is shifted by what comes or goes: in a walk
no task is given twice, and none is missing that was there, and asked for, all the time. A page costs about the same whatever
is stored: it looks at SCAN_LIMIT entries at most, and where few of them are asked for it is short and has a cursor to go on
from. Tasks in a status that few have are found by way of the set of those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from taskq.queue.keys import BELL
from taskq.queue.record import task_from_hash
from taskq.queue.selection import Filter, Place, Walk, select
from taskq.task import Status, Task

if TYPE_CHECKING:
    from taskq.queue.inspect import Inspector

SCAN = 250
"""Entries that one call looks at, and records that one trip reads."""

SCAN_LIMIT = 10_000
"""Entries that are looked at for one page."""

FEW = 2000
"""Up to so many tasks of one status are all looked at, instead of everything that is stored."""


CURSOR_PATTERN = r"-?[0-9]{1,15}\.[A-Za-z0-9_.\-]{0,128}"
"""Every cursor, and nothing else, is such a text: the moment of creation in ms and the id."""

_CURSOR = re.compile(rf"{CURSOR_PATTERN}\Z")


class Page(msgspec.Struct, frozen=True):
    """Tasks in order, and the cursor of the next page (None: this was the last)."""

    tasks: list[Task]
    cursor: str | None


class Entry(NamedTuple):
    """Where a task stands in the order, and in which queue it is."""

    score: float
    id: str
    queue: str


class _Reach(NamedTuple):
    """The next entries that are asked for, the place up to which that is all of them (None: the end), and how many were
    looked at."""

    entries: list[Entry]
    upto: Place | None
    looked_at: int


def page(inspector: Inspector, wanted: Filter, *, limit: int, cursor: str | None, newest_first: bool) -> Page:
    """The next tasks that are asked for. Raises ValueError for a cursor that is none of ours."""
    names = [wanted.queue] if wanted.queue is not None else inspector.queue_names()
    after = Place(*decode_cursor(cursor)) if cursor else None
    few = _few(inspector, names, wanted.status)
    if few is not None:
        return _page(_read_some(inspector, wanted, _beyond(few, after, newest_first), limit), limit, None)
    found: list[Task] = []
    looked_at = 0
    while len(found) <= limit and looked_at < SCAN_LIMIT:
        reach = _reach(inspector, names, wanted, Walk(after, newest_first, most=SCAN, enough=limit + 1 - len(found)))
        found += _records(inspector, wanted, reach.entries)
        looked_at += reach.looked_at
        after = reach.upto
        if after is None:
            break
    return _page(found, limit, after)


def encode_cursor(created_at_ms: float, task_id: str) -> str:
    """A cursor that names the task to go on after."""
    return f"{created_at_ms:.0f}.{task_id}"


def decode_cursor(cursor: str) -> tuple[float, str]:
    """The inverse of encode_cursor. Raises ValueError for anything else."""
    if not _CURSOR.match(cursor):
        raise ValueError("expected the value of X-Next-Cursor of an earlier answer")
    created_at, _, task_id = cursor.partition(".")
    return float(created_at), task_id


def _page(found: list[Task], limit: int, more: Place | None) -> Page:
    if len(found) > limit:
        last = found[limit - 1]
        return Page(found[:limit], encode_cursor(last.created_at_ms, last.id))
    return Page(found, encode_cursor(*more) if more else None)


def _reach(inspector: Inspector, names: Sequence[str], wanted: Filter, walk: Walk) -> _Reach:
    """One look into every queue. What one of them still has may come before what another has shown."""
    merged: list[Entry] = []
    ends: list[Place] = []
    looked_at = 0
    # the bounds of the period are those of the walk, so no record needs to be read for them
    conditions = replace(wanted, created_from_ms=None, created_until_ms=None)
    walk = walk._replace(
        bound=wanted.created_from_ms if walk.down else wanted.created_until_ms,
        most=max(walk.enough, walk.most // max(1, len(names))),
        among=() if wanted.status is None else (wanted.status,),
    )
    for name in names:
        queue = inspector.queue(name)
        found = select(queue, queue.keys.tasks, conditions, walk)
        merged += [Entry(place.score, place.id, name) for place in found.entries]
        looked_at += found.looked_at
        if not found.ended and found.reached is not None:
            ends.append(found.reached)
    merged.sort(reverse=walk.down)
    upto = (max(ends) if walk.down else min(ends)) if ends else None
    if upto is not None:
        merged = [entry for entry in merged if (entry[:2] >= upto if walk.down else entry[:2] <= upto)]
    if len(merged) > walk.enough:
        merged = merged[: walk.enough]
        upto = Place(*merged[-1][:2])
    return _Reach(merged, upto, looked_at)


def _few(inspector: Inspector, names: Sequence[str], status: Status | None) -> list[Entry] | None:
    """Every task of a status as far as its sets know, unless they are not few; None as well where no set knows."""
    if status is None or status is Status.PENDING or not names:
        return None
    places = [(name, key) for name in names for key in _sets(inspector, name, status)]
    lists = status is Status.PROCESSING
    sizes = inspector.pipeline(lambda pipe: [pipe.llen(key) if lists else pipe.zcard(key) for _, key in places])
    if sum(sizes) > FEW:
        return None
    members = inspector.pipeline(
        lambda pipe: [pipe.lrange(key, 0, -1) if lists else pipe.zrange(key, 0, -1) for _, key in places]
    )
    ids = {
        (name, entry.decode())
        for (name, _), entries in zip(places, members, strict=True)
        for entry in entries
        if entry != BELL.encode()
    }
    return _placed(inspector, sorted(ids))


def _sets(inspector: Inspector, name: str, status: Status) -> list[str]:
    keys = inspector.queue(name).keys
    if status is Status.SCHEDULED:
        return [keys.scheduled]
    if status is not Status.PROCESSING:
        return [keys.ended(status)]
    leases: Any = inspector.link.run(lambda client: client.zrange(keys.leases, 0, -1))
    return [keys.processing(worker.decode()) for worker in leases]


def _placed(inspector: Inspector, ids: Sequence[tuple[str, str]]) -> list[Entry]:
    """Where these tasks stand in the order of creation."""
    scores = inspector.pipeline(
        lambda pipe: [pipe.zscore(inspector.queue(name).keys.tasks, task_id) for name, task_id in ids]
    )
    return [Entry(score, task_id, name) for (name, task_id), score in zip(ids, scores, strict=True) if score is not None]


def _beyond(entries: list[Entry], after: Place | None, newest_first: bool) -> list[Entry]:
    if after is not None:
        entries = [entry for entry in entries if (entry[:2] < after if newest_first else entry[:2] > after)]
    return sorted(entries, reverse=newest_first)


def _read_some(inspector: Inspector, wanted: Filter, entries: Sequence[Entry], limit: int) -> list[Task]:
    found: list[Task] = []
    step = max(50, limit + 1)
    for at in range(0, len(entries), step):
        found += _records(inspector, wanted, entries[at : at + step])
        if len(found) > limit:
            break
    return found


def _records(inspector: Inspector, wanted: Filter, entries: Sequence[Entry]) -> list[Task]:
    """The tasks that stand there and are still asked for."""
    hashes = inspector.pipeline(
        lambda pipe: [pipe.hgetall(inspector.queue(entry.queue).keys.task(entry.id)) for entry in entries], garbage_ok=True
    )
    tasks = [
        task_from_hash(entry.queue, entry.id, fields) if isinstance(fields, dict) and fields else None
        for entry, fields in zip(entries, hashes, strict=True)
    ]
    return [task for task in tasks if task is not None and wanted.accepts(task)]
