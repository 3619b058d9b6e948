"""The write side: one method for each verb, one script behind each method.

Every method is safe to repeat with the same arguments and is repeated by `Link` when Redis is away. All of them raise
QueueUnavailable, QueueFull or QueueRefused. What a method leaves in Redis stands in its Lua file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taskq import failpoints
from taskq.catalog import Published
from taskq.errors import LeaseLost, QueueUnavailable, TaskNotFound, TaskSpared, UniqueKeyTaken
from taskq.log import emit
from taskq.queue.answers import ANY, Enqueued, Guard, Reaped, Stop, enqueued_from_reply
from taskq.queue.connection import Link
from taskq.queue.keys import BELL, Keys
from taskq.queue.line import FixedKeys, evalsha
from taskq.queue.record import ATTEMPT_FIELDS, attempt_from_reply, detail_json, enqueue_args
from taskq.queue.reports import Reports
from taskq.queue.scripts import load
from taskq.queue.tokens import Unanswered
from taskq.task import Attempt, ErrorDetail, ErrorKind, NewTask, Status, Verdict

BATCH = 200
"""The most entries that one call of promote, expire, reap or trim moves, so that no script blocks the server for long."""

OLDEST = "oldest"
"""To blame for a death that nobody saw: what the worker ran is the oldest task that it had started."""

NEXT = "next"
"""To blame for a death between two tasks: what the worker had started, if that is one task alone."""

RECHECK_S = 5.0
"""A task that has expired while a worker held it is looked at again after this time: the worker may give it back."""


_VERDICTS = {verdict.encode(): verdict for verdict in Verdict}


class Queue:
    """One queue, as seen by its producers, its workers and its maintenance."""

    def __init__(self, link: Link, *, prefix: str = "taskq", name: str = "default") -> None:
        self.link = link
        self.name = name
        self.keys = Keys(prefix, name)
        self.reports = Reports(link, self.keys)
        self._unanswered = Unanswered()
        self._announced = False
        self._claims: dict[str, FixedKeys] = {}
        self._completes: dict[str, FixedKeys] = {}

    # -- producers

    def enqueue(self, new: NewTask) -> Enqueued:
        """Store one task as pending or scheduled. Raises UniqueKeyTaken."""
        enqueued = self.enqueue_many([new])[0]
        if enqueued.holder is not None:
            raise UniqueKeyTaken(new.unique_key or "", enqueued.holder)
        return enqueued

    def enqueue_many(self, news: Sequence[NewTask], *, whole: bool = False) -> list[Enqueued]:
        """Store up to 1,000 tasks in one step; the answers are in the same order.

        A task whose unique key is taken is not stored; if the call counts as a `whole`, no task is stored then. Unique keys
        that the tasks of one whole call share are the caller's to find.
        """
        self.announce()
        args: list[Any] = ["1" if whole else "0"]
        for new in news:
            args += enqueue_args(new)
        keys = ("scheduled", "tasks", "task_prefix", "paused", "expiring", "unique_prefix", "accepted_prefix", "stats")
        return enqueued_from_reply(self._script("enqueue", *self._lists(), *keys, args=args))

    def cancel(self, task_id: str, reason: str = "", guard: Guard = ANY) -> Status:
        """End a task that has not ended; returns the status it had, which may already have been final (nothing done).
        Raises TaskSpared, as delete and requeue do, for a task that the guard keeps from it."""
        text = f"cancelled: {reason}" if reason else "cancelled"
        detail = detail_json(ErrorDetail(kind=ErrorKind.CANCELLED, message=text))
        keys = (
            *self._lists(),
            "scheduled",
            "completed",
            "failed",
            "cancelled",
            "task_prefix",
            "processing_prefix",
            "stops",
            "paused",
            "limits",
            "leases",
            "stats",
        )
        return self._found(task_id, self._script("cancel", *keys, args=[task_id, text, detail, *guard.args()]))

    def delete(self, task_id: str, guard: Guard = ANY) -> Status | None:
        """Remove a task for good; returns the status it had, None for a record that could not be read."""
        sets = ("scheduled", "completed", "failed", "cancelled", "tasks")
        rest = ("task_prefix", "processing_prefix", "stops", "unreadable", "paused", "expiring", "unique_prefix",
                "output_prefix", "limits", "leases", "stats")  # fmt: skip
        reply = self._script("delete", *self._lists(), *sets, *rest, args=[task_id, *guard.args()[1:]])
        return None if reply == b"unreadable" else self._found(task_id, reply)

    def requeue(self, task_id: str, delay_s: float = 0, guard: Guard = ANY) -> Status:
        """Bring a failed or cancelled task back; returns the status it had (any other: nothing done).

        Its time to wait begins anew. Raises UniqueKeyTaken when another task has taken its unique key since.
        """
        keys = (*self._lists(), "scheduled", "failed", "cancelled", "task_prefix", "paused", "expiring", "unique_prefix")
        had, unique_key, holder = self._script("requeue", *keys, args=[task_id, _ms(delay_s), *guard.args()])
        if holder:
            raise UniqueKeyTaken(unique_key.decode(), holder.decode())
        return self._found(task_id, had)

    # -- workers

    def join(self, worker_id: str, lease_s: float, info: bytes, published: Published | None = None) -> None:
        """Make a new worker known with a first lease; `info` is a JSON object that tells where it runs.

        `published` is the catalog of its types, whose digest is the member `catalog` of `info`.
        """
        self.announce()
        catalog = published or ("", b"")
        self._script("join", "leases", "workers", "types", args=[worker_id, _ms(lease_s), info, *catalog])

    def leave(self, worker_id: str) -> bool:
        """Forget a worker that ended; False when it still holds something, which a reap must take first."""
        names = self._names("leases", "workers", "stops", "pending", "limits", "residents")
        keys = [self.keys.processing(worker_id), *names]
        return bool(self.link.script(load("leave"), keys, [worker_id]))

    def claim(self, worker_id: str) -> Attempt | None:
        """The next task, started, without waiting: first what this worker's own list already holds. Raises LeaseLost."""
        while True:
            reply = self.link.script(load("claim"), self.claim_keys(worker_id), [worker_id])
            attempt = self.claimed(worker_id, reply)
            if reply[0] != b"again":
                return attempt

    def wait(self, worker_id: str, block_s: float) -> Attempt | None:
        """The next task, started; waits up to `block_s` for one. Raises LeaseLost.

        The claim is sent with the wait, so that the server starts what arrives without another trip. An error while waiting
        may leave a task in this worker's own list; the claim that follows finds it there.
        """
        keys = self.claim_keys(worker_id)
        claim = evalsha(load("claim"), keys, [worker_id, "0"])
        if failpoints.ARMED:
            self._wait_in_steps(worker_id, block_s)
            return self.claim(worker_id)
        try:
            refused, reply = self.link.block_move_then(self.keys.pending, keys[3], block_s, claim)
        except QueueUnavailable:
            self.link.disconnect()
            return self.claim(worker_id)
        attempt = self.claimed(worker_id, reply)
        if attempt is None and refused is not None:
            raise refused
        return self.claim(worker_id) if reply[0] == b"again" else attempt

    def complete(
        self, worker_id: str, attempt: Attempt, result: bytes, *, claim_next: bool = False
    ) -> tuple[Verdict, Attempt | None]:
        """Store the result (JSON text) of an attempt and, if asked, claim the next task in the same trip."""
        return self.completing(worker_id, attempt, result, claim_next=claim_next)()

    def completing(
        self, worker_id: str, attempt: Attempt, result: bytes, *, claim_next: bool
    ) -> Callable[[], tuple[Verdict, Attempt | None]]:
        """`complete` in two parts, for whoever has something to do while the server works; see `Link.post`."""
        args = [worker_id, attempt.id, attempt.attempt, result, "1" if claim_next else "0"]
        reply = self.link.post(load("complete"), self.complete_keys(worker_id), args)
        return lambda: self._completed(worker_id, reply(), claim_next=claim_next)

    def _completed(self, worker_id: str, reply: Sequence[Any], *, claim_next: bool) -> tuple[Verdict, Attempt | None]:
        verdict = _VERDICTS[reply[0]]
        if not claim_next:
            return verdict, None
        try:
            return verdict, self.claim(worker_id) if reply[1] == b"again" else self.claimed(worker_id, reply[1:])
        except LeaseLost:
            return verdict, None  # what was stored must be told first; the next claim says it again

    def retry(self, worker_id: str, attempt: Attempt, delay_s: float, error: str, detail: ErrorDetail) -> Verdict:
        """Schedule another attempt in `delay_s` seconds and count one retry."""
        args = [worker_id, attempt.id, attempt.attempt, _ms(delay_s), error, detail_json(detail)]
        keys = [self.keys.processing(worker_id), *self._names("task_prefix", "scheduled", "pending", "limits", "stats")]
        return Verdict(self.link.script(load("retry"), keys, args)[0].decode())

    def fail(self, worker_id: str, attempt: Attempt, error: str, detail: ErrorDetail) -> Verdict:
        """End the task as failed."""
        args = [worker_id, attempt.id, attempt.attempt, error, detail_json(detail)]
        keys = [self.keys.processing(worker_id), *self._names("task_prefix", "failed", "pending", "limits", "stats")]
        return Verdict(self.link.script(load("fail"), keys, args)[0].decode())

    def release(self, worker_id: str, attempt: Attempt) -> Verdict:
        """Put the task back at the head of its queue; nothing is counted."""
        keys = [*self._names(*self._lists()), self.keys.processing(worker_id)]
        keys += self._names("task_prefix", "paused", "limits", "stats")
        args = [worker_id, attempt.id, attempt.attempt]
        return Verdict(self.link.script(load("release"), keys, args)[0].decode())

    # -- maintenance

    def extend(self, workers: Mapping[str, int], lease_s: float, pause_s: float) -> list[str]:
        """Prolong leases; returns the workers whose lease had lapsed, which are not revived. `workers` has the resident size
        of each in bytes (0: not known), which is shown until its next one.

        `pause_s` is the longest regular time between two calls of extend or lapsed by anybody: a longer gap means that
        nobody could reach Redis, and is not held against any lease.
        """
        if not workers:
            return []
        sizes = [text for worker_id, resident in workers.items() for text in (worker_id, resident or "")]
        reply = self._script("extend", "leases", "reaper", "residents", args=[_ms(pause_s), _ms(lease_s), *sizes])
        return [worker_id.decode() for worker_id in reply]

    def lapsed(self, pause_s: float, skip: int = 0) -> list[tuple[str, float]]:
        """Workers whose lease has ended, with the seconds since then, the longest first, at most BATCH."""
        reply = self._script("lapsed", "leases", "reaper", args=[_ms(pause_s), BATCH, skip])
        return [(worker.decode(), ms / 1000) for worker, ms in zip(reply[::2], reply[1::2], strict=True)]

    def reap(
        self, worker_id: str, *, dead: bool, max_crashes: int, error: str, detail: ErrorDetail, blame: str = OLDEST
    ) -> list[Reaped]:
        """Take back all that a worker holds, BATCH entries at a time: because its process is known to be `dead`, or else
        only if its lease has ended. The task with the id in `blame` counts a crash, is told `error` and `detail`, and is
        returned; if that has ended, the one that NEXT means. OLDEST and NEXT: see there; '': none. The others go back.
        """
        keys = [
            *self._names(*self._lists()), self.keys.processing(worker_id),
            *self._names("leases", "task_prefix", "failed", "paused", "limits", "reply_prefix", "stats"),
            *self._names("stops", "counters"),
        ]  # fmt: skip
        args = [worker_id, "dead" if dead else "lapsed", max_crashes, error, detail_json(detail), BATCH]
        moved: list[Reaped] = []
        taken = BATCH
        while taken == BATCH:
            with self._unanswered.token(f"reap {worker_id}") as token:
                taken, *rest = self.link.script(load("reap"), keys, [*args, token, blame if not moved else ""])
            moved += [_reaped(rest[i : i + 5]) for i in range(0, len(rest), 5)]
        return moved

    def promote(self) -> tuple[int, float | None]:
        """Move due tasks to pending, at most BATCH, and wake workers for parked tasks whose rate allows it again.

        Returns how many were moved, and the seconds until the next one, or the next parked one, is due (None: none).
        """
        keys = (*self._lists(), "scheduled", "task_prefix", "paused", "limits")
        moved, next_ms = self._script("promote", *keys, args=[BATCH])
        return moved, None if next_ms < 0 else next_ms / 1000

    def expire(self) -> bool:
        """End waiting tasks that may not start any more, at most BATCH; returns whether there are more."""
        keys = (
            *self._lists(), "scheduled", "failed", "expiring", "task_prefix", "paused", "limits", "reply_prefix", "stats",
        )  # fmt: skip
        with self._unanswered.token("expire") as token:
            more, *ended = self._script("expire", *keys, args=[BATCH, _ms(RECHECK_S), token])
        self._log_expired(ended)
        return bool(more)

    def trim(self, status: Status, kept_s: float) -> int:
        """Remove tasks that ended as `status` more than `kept_s` ago, at most BATCH; returns how many."""
        keys = [self.keys.ended(status), *self._names("tasks", "task_prefix", "expiring", "unique_prefix", "output_prefix")]
        return int(self.link.script(load("trim"), keys, [_ms(kept_s), BATCH]))

    def stops(self, worker_ids: Sequence[str]) -> list[Stop]:
        """The stop requests that wait for these workers. They stay until `stop_done`, so that none is lost."""
        if not worker_ids:
            return []
        # of all workers: as a rule there is none
        requests: Any = self.link.run(lambda client: client.hgetall(self.keys.stops))
        found = []
        for worker_id in worker_ids if requests else ():
            for line in requests.get(worker_id.encode(), b"").decode().splitlines():
                task_id, attempt, reason = line.split(" ", 2)
                found.append(Stop(worker_id, task_id, int(attempt), reason))
        return found

    def stop_done(self, worker_id: str, task_id: str = "", attempt: int = 0) -> None:
        """Forget the request to stop an attempt that has ended, and free its place; without an id all of a worker."""
        self._script("stopped", "stops", "pending", "limits", args=[worker_id, task_id, attempt])

    def announce(self) -> None:
        """Put this queue among the known ones, once per process."""
        if not self._announced:
            self._script("announce", "queues", args=[self.name])
            self._announced = True

    # -- helpers

    def _wait_in_steps(self, worker_id: str, block_s: float) -> None:
        """The first half of a wait, with the moments at which a test may end this process."""
        failpoints.hit("P0")
        failpoints.hit("P1")
        try:
            moved = self.link.block_move(self.keys.pending, self.keys.processing(worker_id), block_s)
            if moved is not None and moved != BELL.encode():
                failpoints.hit("P2", moved.decode())
                failpoints.hit("P3", moved.decode())
        except QueueUnavailable:
            self.link.disconnect()

    def _script(self, script: str, *keys: str, args: Sequence[Any]) -> Any:
        return self.link.script(load(script), self._names(*keys), args)

    def _names(self, *attributes: str) -> list[str]:
        return [getattr(self.keys, attribute) for attribute in attributes]

    @staticmethod
    def _lists() -> tuple[str, str, str]:
        return ("pending", "high", "low")

    def complete_keys(self, worker_id: str) -> FixedKeys:
        """Those of complete.lua and complete_many.lua; the same for all completions of a worker, so put together once."""
        found = self._completes.get(worker_id)
        if found is None:
            found = self._completes[worker_id] = FixedKeys((*self.claim_keys(worker_id), self.keys.completed))
        return found

    def claim_keys(self, worker_id: str) -> FixedKeys:
        """Those of claim.lua; put together once, too."""
        found = self._claims.get(worker_id)
        if found is None:
            keys = self.keys
            found = self._claims[worker_id] = FixedKeys((
                keys.pending, keys.high, keys.low, keys.processing(worker_id), keys.leases, keys.task_prefix,
                keys.unreadable, keys.failed, keys.limits, keys.paused, keys.stats,
            ))  # fmt: skip
        return found

    def claimed(self, worker_id: str, reply: Sequence[Any]) -> Attempt | None:
        """The attempt in an answer of claim.lua, whose news are logged; None without one. Raises LeaseLost."""
        self._check_lease(worker_id, reply[0])
        end = 1 + ATTEMPT_FIELDS if reply[0] == b"task" else 1
        if len(reply) > end:
            self._log_expired(reply[end:])
        return attempt_from_reply(self.name, reply[1:end]) if reply[0] == b"task" else None

    def claimed_many(self, worker_id: str, state: bytes, found: Sequence[Any], expired: Sequence[Any]) -> list[Attempt]:
        """The attempts in an answer of complete_many.lua, whose news are logged. Raises LeaseLost."""
        self._check_lease(worker_id, state)
        if expired:
            self._log_expired(expired)
        return [attempt_from_reply(self.name, one[1:]) for one in found]

    def _check_lease(self, worker_id: str, state: bytes) -> None:
        if state == b"lapsed":
            emit("lease.lost", logging.WARNING, worker_id=worker_id, queue=self.name)
            raise LeaseLost(f"the lease of {worker_id} has lapsed")

    def _log_expired(self, ended: Sequence[Any]) -> None:
        for at in range(0, len(ended), 3):
            emit(
                "task.expired",
                logging.WARNING,
                task_id=ended[at].decode(),
                attempt=int(ended[at + 1]),
                type=ended[at + 2].decode("utf-8", "replace"),
                queue=self.name,
                error_kind=ErrorKind.EXPIRED,
            )

    @staticmethod
    def _found(task_id: str, reply: bytes) -> Status:
        if not reply:
            raise TaskNotFound(task_id)
        if reply == b"spared":
            raise TaskSpared(task_id)
        return Status(reply.decode())


def _reaped(reply: Sequence[Any]) -> Reaped:
    task_id, attempt, status, crashes, type_ = reply
    return Reaped(task_id.decode(), int(attempt), Status(status.decode()), int(crashes), type_.decode("utf-8", "replace"))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
