"""The read side: nothing here changes a task. All methods raise QueueUnavailable or QueueRefused."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from taskq.queue import server
from taskq.queue.connection import Link
from taskq.queue.keys import BELL, PARKED_RANK, PAUSED, Keys, queues_key
from taskq.queue.pages import Page, page
from taskq.queue.queue import Queue
from taskq.queue.record import task_from_hash
from taskq.queue.selection import EVERYTHING, Filter
from taskq.queue.server import ServerReport
from taskq.queue.types import MAX_AGE_S, PublishedTypes, QueueTypes
from taskq.task import Status, Task

BELLS = 500
"""How far into a list bells are looked for."""


class Pause(NamedTuple):
    """Since when nothing starts in a queue, on Redis' clock, and why ("": nobody said)."""

    since_ms: int
    reason: str


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """One queue at a moment. `oldest_wait_s` is None when nothing waits, `paused` while tasks may start; `busy` of the live
    `workers` hold a task; `stale_writes` are those ever refused, `leases_lost` those that ever ended before their worker."""

    queue: str
    counts: dict[Status, int]
    oldest_wait_s: float | None
    workers: int
    paused: Pause | None = None
    stale_writes: int = 0
    busy: int = 0
    leases_lost: int = 0


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as Redis knows it: where it runs (`info`), what it holds, the seconds left of its lease, and its
    resident size at the last heartbeat (None before the first)."""

    id: str
    queue: str
    info: dict[str, Any]
    lease_s: float
    task_ids: list[str]
    resident_bytes: int | None = None


class Run(NamedTuple):
    """A task that is being processed: its type, which attempt it is, and when that was started, in ms."""

    task_id: str
    type: str
    attempt: int
    started_at_ms: int


_RUN_FIELDS = ("status", "type", "attempt", "started_at")


class Inspector:
    """Reads every queue under one prefix."""

    def __init__(self, link: Link, *, prefix: str = "taskq") -> None:
        self.link = link
        self.prefix = prefix
        self._queues: dict[str, Queue] = {}
        self._last_found = ""  # the queue of a task is no part of its id, and few services have many
        self._types = PublishedTypes(link, self.queue_names, self._keys)

    def queue(self, name: str) -> Queue:
        """The write side of one queue, over the same connections."""
        if name not in self._queues:
            self._queues[name] = Queue(self.link, prefix=self.prefix, name=name)
        return self._queues[name]

    def queue_names(self) -> list[str]:
        """Every queue that ever took a task or had a worker, in alphabetical order."""
        names: Any = self.link.run(lambda client: client.smembers(queues_key(self.prefix)))
        return sorted(name.decode() for name in names)

    def ping(self) -> None:
        """Returns if Redis answers."""
        self.link.run(lambda client: client.ping())

    def now_ms(self) -> int:
        """The present moment on Redis' clock."""
        seconds, micros = self.link.run(lambda client: client.time())
        return int(seconds) * 1000 + int(micros) // 1000

    def examine(self) -> ServerReport:
        """What makes this server lose tasks, if anything. Raises StartupError when it is unfit to keep any."""
        return server.check(self.link, require_persistence=False)

    def locate(self, task_id: str) -> str | None:
        """The queue that holds this task."""
        names = self.queue_names()
        found = self.pipeline(lambda pipe: [pipe.exists(self._keys(name).task(task_id)) for name in names])
        return next((name for name, exists in zip(names, found, strict=True) if exists), None)

    def get(self, task_id: str, *, queue: str | None = None) -> Task | None:
        """One task, of any queue or of the one named; None when there is none or its record cannot be read."""
        likely = queue or self._last_found
        fields = self.link.hash(self._keys(likely).task(task_id)) if likely else None
        if likely and fields:
            return task_from_hash(likely, task_id, fields)
        return None if queue else self._search(task_id)

    def page(self, wanted: Filter = EVERYTHING, *, limit: int, cursor: str | None = None, newest_first: bool = True) -> Page:
        """The next tasks that are asked for, by creation time. Raises ValueError for a cursor that is none of ours."""
        return page(self, wanted, limit=limit, cursor=cursor, newest_first=newest_first)

    def state(self, name: str) -> QueueState:
        """Counts of every status, the oldest wait and the number of live workers of one queue."""
        keys = self._keys(name)
        leases, parked = self.pipeline(lambda pipe: [pipe.zrange(keys.leases, 0, -1), pipe.smembers(keys.parked_types)])
        bells, aside, paused, (stale, lost), *sizes = self.pipeline(
            lambda pipe: [
                *(pipe.lpos(key, BELL, rank=-1, count=0, maxlen=BELLS) for key in (keys.pending, keys.pending + PAUSED)),
                pipe.hgetall(keys.paused),
                pipe.hmget(keys.counters, "stale", "lost"),
                *(pipe.scard(key) for key in keys.gone),
                *(pipe.zcard(key) for key in (keys.scheduled, keys.completed, keys.failed, keys.cancelled)),
                *(pipe.llen(key) for key in keys.waiting),
                *(pipe.zcard(keys.parked(type_.decode())) for type_ in parked),
                *(pipe.llen(keys.processing(worker.decode())) for worker in leases),
            ]
        )
        gone, (scheduled, completed, failed, cancelled), lengths = sum(sizes[:3]), sizes[3:7], sizes[7:]
        waiting = len(keys.waiting) + len(parked)
        counts = {
            Status.PENDING: max(0, sum(lengths[:waiting]) - len(bells or ()) - len(aside or ()) - gone),
            Status.SCHEDULED: scheduled,
            Status.PROCESSING: sum(lengths[waiting:]),
            Status.COMPLETED: completed,
            Status.FAILED: failed,
            Status.CANCELLED: cancelled,
        }
        workers = self.workers(name)
        return QueueState(
            queue=name,
            counts=counts,
            oldest_wait_s=self._oldest_wait_s(keys, [type_.decode() for type_ in parked]),
            workers=len(workers),
            busy=sum(1 for worker in workers if worker.task_ids),
            paused=pause_from_hash(paused),
            stale_writes=int(stale or 0),
            leases_lost=int(lost or 0),
        )

    def workers(self, name: str) -> list[WorkerState]:
        """The workers of one queue whose lease has not ended."""
        keys = self._keys(name)
        now, leases, infos, residents = self.pipeline(
            lambda pipe: [
                pipe.time(),
                pipe.zrange(keys.leases, 0, -1, withscores=True),
                pipe.hgetall(keys.workers),
                pipe.hgetall(keys.residents),
            ]
        )
        now_ms = now[0] * 1000 + now[1] / 1000
        live = [(worker, ends_at) for worker, ends_at in leases if ends_at > now_ms]
        held = self.pipeline(lambda pipe: [pipe.lrange(keys.processing(worker.decode()), 0, -1) for worker, _ in live])
        return [
            WorkerState(
                id=worker.decode(),
                queue=name,
                info=msgspec.json.decode(infos.get(worker, b"{}")),
                lease_s=(ends_at - now_ms) / 1000,
                task_ids=[entry.decode() for entry in entries if entry != BELL.encode()],
                resident_bytes=int(residents[worker]) if worker in residents else None,
            )
            for (worker, ends_at), entries in zip(live, held, strict=True)
        ]

    def runs(self, workers: Sequence[WorkerState]) -> dict[str, Run]:
        """What these workers run, by worker id; one that has just been handed a task, or waits for one, is left out."""
        held = [
            (worker.id, self._keys(worker.queue).task(task_id), task_id) for worker in workers for task_id in worker.task_ids
        ]
        records = self.pipeline(lambda pipe: [pipe.hmget(key, _RUN_FIELDS) for _, key, _ in held]) if held else []
        return {  # of several that a worker holds, the oldest, which is the last here
            worker_id: Run(task_id, type_.decode("utf-8", "replace"), int(attempt), int(started_at))
            for (worker_id, _, task_id), (status, type_, attempt, started_at) in zip(held, records, strict=True)
            if status == Status.PROCESSING.encode() and None not in (type_, attempt, started_at)
        }

    def worker_infos(self, name: str, *, but: Container[str] = ()) -> dict[str, dict[str, Any]]:
        """Where every known worker of one queue runs or ran, by worker id; also of those whose lease has ended, but not of
        those in `but`."""
        stored: Any = self.link.run(lambda client: client.hgetall(self._keys(name).workers))
        infos = ((worker.decode(), info) for worker, info in stored.items())
        return {worker: msgspec.json.decode(info) for worker, info in infos if worker not in but}

    def types(self, max_age_s: float = MAX_AGE_S) -> Mapping[str, QueueTypes]:
        """What the workers of each known queue told about their types, read at most so long ago."""
        return self._types.get(max_age_s)

    # -- helpers

    def _keys(self, name: str) -> Keys:
        return self.queue(name).keys

    def pipeline(self, queue_commands: Callable[[Any], Sequence[Any]], *, garbage_ok: bool = False) -> list[Any]:
        """Run the read commands that `queue_commands` puts on a pipeline in one trip. With `garbage_ok` the error of a key
        of the wrong type stands in place of its reply; any other error is raised as usual."""

        def action(client: Any) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            replies = list(pipe.execute(raise_on_error=False)) if queue_commands(pipe) else []
            for reply in replies:
                if isinstance(reply, Exception) and not (garbage_ok and str(reply).startswith("WRONGTYPE")):
                    raise reply
            return replies

        return self.link.run(action)

    def _search(self, task_id: str) -> Task | None:
        names = self.queue_names()
        hashes = self.pipeline(
            lambda pipe: [pipe.hgetall(self._keys(name).task(task_id)) for name in names], garbage_ok=True
        )
        for name, fields in zip(names, hashes, strict=True):
            if isinstance(fields, dict) and fields:
                self._last_found = name
                return task_from_hash(name, task_id, fields)
        return None

    def _oldest_wait_s(self, keys: Keys, limited: Sequence[str]) -> float | None:
        tails = self.pipeline(
            lambda pipe: [
                *(pipe.lrange(key, -5, -1) for key in keys.waiting),
                *(
                    pipe.zrange(keys.parked(type_), rank * PARKED_RANK, "+inf", byscore=True, offset=0, num=1)
                    for type_ in limited
                    for rank in range(3)
                ),
            ]
        )
        ids = [entry.decode() for tail in tails if isinstance(tail, list) for entry in tail if entry != BELL.encode()]
        if not ids:
            return None
        now, *records = self.pipeline(
            lambda pipe: [pipe.time(), *(pipe.hmget(keys.task(task_id), "status", "ready_at") for task_id in ids)],
            garbage_ok=True,
        )
        # an entry may stand for nothing, see `Keys.gone`
        moments = [int(r[1]) for r in records if isinstance(r, list) and r[0] == b"pending" and r[1] is not None]
        return max(0.0, now[0] + now[1] / 1e6 - min(moments) / 1000) if moments else None


def pause_from_hash(fields: Mapping[bytes, bytes]) -> Pause | None:
    """What the hash `:paused` says."""
    return Pause(int(fields[b"since"]), fields.get(b"reason", b"").decode()) if fields else None
