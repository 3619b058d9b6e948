"""What the integration tests do again and again: tasks, workers with leases, and a look at every byte under a prefix."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any

from taskq.output import BLOCK_BYTES
from taskq.queue.ahead import Answer, Completion, Stream
from taskq.queue.crash import crash
from taskq.queue.queue import Queue
from taskq.queue.reports import Holder
from taskq.schedule import CatchUp, Overlap, Schedule
from taskq.task import Attempt, ErrorDetail, ErrorKind, NewTask, Priority, Progress, Status, Verdict

LEASE_S = 60.0
PAUSE_S = 30.0
MIB = 1 << 20
"""Longer than any test: no gap between two visits of maintenance."""

DETAIL = ErrorDetail(kind=ErrorKind.EXCEPTION, type="ValueError", message="boom")

Settle = Callable[[Queue, str, Attempt], Verdict]
SETTLES: dict[str, Settle] = {
    "complete": lambda queue, worker, attempt: queue.complete(worker, attempt, b'"done"')[0],
    "retry": lambda queue, worker, attempt: queue.retry(worker, attempt, 30, "boom", DETAIL),
    "fail": lambda queue, worker, attempt: queue.fail(worker, attempt, "boom", DETAIL),
    "release": lambda queue, worker, attempt: queue.release(worker, attempt),
    "crash": lambda queue, worker, attempt: crash(queue, worker, attempt, 3, "boom", DETAIL),
}


def trip(queue: Queue, worker: str, attempts: Sequence[Attempt] = (), claims: int = 0) -> Answer:
    """Complete these attempts and claim so many tasks, in one trip."""
    stream = Stream(queue, worker)
    stream.post([Completion(attempt, b'"done"', 0.0) for attempt in attempts], claims)
    answer = stream.answer()
    stream.close()
    return answer


EVERY_SETTLE: dict[str, Settle] = {
    **SETTLES,
    "complete_many": lambda queue, worker, attempt: trip(queue, worker, [attempt]).ended[0][1],
}


def new(type_: str = "echo", **fields: Any) -> NewTask:
    """A task with an id of its own."""
    return NewTask(id=fields.pop("id", str(uuid.uuid4())), type=type_, **fields)


def schedule(name: str = "nightly", **fields: Any) -> Schedule:
    """A schedule that ticks every minute."""
    given = {
        "cron": "* * * * *",
        "timezone": "UTC",
        "type": "echo",
        "payload": None,
        "queue": "default",
        "priority": Priority.NORMAL,
        "overlap": Overlap.ALLOW,
        "catch_up": CatchUp.NONE,
        "enabled": True,
        "max_retry": 3,
    }
    return Schedule(name=name, **{**given, **fields})


def enqueued(queue: Queue, **fields: Any) -> str:
    """The id of a task that was just enqueued."""
    task = new(**fields)
    queue.enqueue(task)
    return task.id


def joined(queue: Queue, name: str = "w") -> str:
    """A new worker with a lease."""
    worker = f"{name}-{uuid.uuid4().hex[:8]}"
    queue.join(worker, LEASE_S, b'{"host": "here"}')
    return worker


def claim(queue: Queue, worker: str) -> Attempt:
    """The next task, which must be there."""
    attempt = queue.claim(worker)
    assert attempt is not None
    return attempt


def started(queue: Queue, worker: str, **fields: Any) -> Attempt:
    """A task that was just enqueued and started; nothing else may wait."""
    task_id = enqueued(queue, **fields)
    attempt = claim(queue, worker)
    assert attempt.id == task_id
    return attempt


def moved(queue: Queue, worker: str) -> str:
    """What BLMOVE put into the list of a worker, which did not start it."""
    entry = queue.link.block_move(queue.keys.pending, queue.keys.processing(worker), 1)
    assert entry is not None
    return entry.decode()


def lapse(queue: Queue, worker: str, ago_ms: int = 1) -> None:
    """Let the lease of a worker have ended some time ago."""
    queue.link.redis.zadd(queue.keys.leases, {worker: now_ms(queue) - ago_ms}, xx=True)


def lease_ms(queue: Queue, worker: str) -> float:
    """How long the lease of a worker still lasts."""
    return score(queue, queue.keys.leases, worker) - now_ms(queue)


def reap(queue: Queue, worker: str, *, dead: bool = True, max_crashes: int = 3) -> list[Any]:
    """One reap, with the usual words."""
    return list(queue.reap(worker, dead=dead, max_crashes=max_crashes, error="boom", detail=DETAIL))


def tell(queue: Queue, worker: str, attempt: Attempt, progress: Progress) -> int:
    """One report of progress; 1 when it was noted."""
    return queue.reports.progress([(Holder(worker, attempt.id, attempt.attempt), progress)])


def printed(queue: Queue, worker: str, attempt: Attempt, data: bytes, kept_bytes: int = 1 << 16) -> Verdict:
    """Send output that an attempt has printed from its beginning on."""
    blocks = [(at, data[at : at + BLOCK_BYTES]) for at in range(0, len(data), BLOCK_BYTES)]
    return queue.reports.output(Holder(worker, attempt.id, attempt.attempt), blocks, kept_bytes)


def record(queue: Queue, task_id: str) -> dict[str, str]:
    """The record as text; empty when there is none."""
    fields: Any = queue.link.redis.hgetall(queue.keys.task(task_id))
    return {name.decode(): value.decode() for name, value in fields.items()}


def status(queue: Queue, task_id: str) -> Status | None:
    """What the record says; None without one."""
    text = record(queue, task_id).get("status")
    return None if text is None else Status(text)


def entries(queue: Queue, key: str) -> list[str]:
    """A list, in the order in which it is claimed."""
    found: Any = queue.link.redis.lrange(key, 0, -1)
    return [entry.decode() for entry in reversed(found)]


def members(queue: Queue, key: str) -> list[str]:
    """A sorted set, the lowest score first."""
    found: Any = queue.link.redis.zrange(key, 0, -1)
    return [member.decode() for member in found]


def score(queue: Queue, key: str, member: str) -> float:
    """A score, which must be there."""
    found: Any = queue.link.redis.zscore(key, member)
    assert found is not None
    return float(found)


def now_ms(queue: Queue) -> int:
    """The present moment on the server's clock, as the scripts see it."""
    seconds, micros = queue.link.redis.time()
    return int(seconds * 1000 + micros // 1000)


def snapshot(queue: Queue, but: Collection[str] = ()) -> dict[str, bytes]:
    """Every key under the prefix, byte for byte, except those in `but`."""
    client = queue.link.redis
    keys = sorted(set(client.scan_iter(match=f"{{{queue.keys.prefix}*", count=10_000)))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.dump(key)
    found = {key.decode(): dump for key, dump in zip(keys, pipe.execute(), strict=True)}
    return {key: dump for key, dump in found.items() if key not in but}


def until(condition: Callable[[], Any], what: str, limit_s: float = 5.0) -> None:
    """Wait for a condition; the test fails when it does not come true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.002)
