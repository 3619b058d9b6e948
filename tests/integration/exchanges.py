"""Everything that is done with Redis, each with its beginning and with the commands that it sends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from taskq.errors import QueueUnavailable, TaskNotFound
from taskq.limits import Limit, Limits
from taskq.queue import gate, history, repeats, server, stats
from taskq.queue.ahead import Completion, Stream
from taskq.queue.alike import STEP, Alike, moments
from taskq.queue.ending import end_of
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.requests import Request, Requests, answered
from taskq.queue.selection import Filter, Walk, select
from taskq.queue.standing import ask
from taskq.task import Attempt, Priority, Progress, Status, Task
from taskq.worker.alarm import Alarm
from tests.integration.beginnings import (
    DELETE_ALL,
    OFTEN,
    W,
    aged,
    claimed_unstarted,
    counted_requests,
    due,
    ended,
    held,
    idle,
    installed,
    limited,
    limited_running,
    long_unvisited,
    minute_over,
    operations,
    overdue,
    parked,
    paused,
    published,
    running,
    running_ahead,
    schedules,
    silent,
    stopped,
    taken,
    task,
    unannounced,
    waiting,
)
from tests.integration.steps import MIB, SETTLES, Settle, printed, reap, schedule, tell

EVERY_TIME = 3
"""So often in a row each reply is lost."""

BLOCK_S = 0.1
LATE_MS = 4_000_000_000_000


class Case(NamedTuple):
    """`act` is what is done over the faulty link, with what `arrange` returned; `loses` are the commands that it sends. Its
    answer is not compared where it tells what the last try moved, and so `forgets` what an earlier one did."""

    loses: tuple[str, ...]
    act: Callable[[Queue, Any], Any]
    arrange: Callable[[Queue], Any] = lambda queue: None
    forgets: bool = False


def wait_and_complete(queue: Queue, worker: str) -> Any:
    attempt = queue.wait(worker, 0.05)
    return attempt and (attempt, queue.complete(worker, attempt, b"1"))


def wait_until_told(queue: Queue, worker: str) -> Any:
    with contextlib.closing(Alarm()) as alarm:
        alarm.set()
        queue.link.wake = alarm.fd
        return queue.wait(worker, 60)


def flush_and_claim(queue: Queue) -> Any:
    queue.link.run(lambda client: client.script_flush())
    return queue.claim(W)


def read(method: Callable[[Inspector], Any]) -> Callable[[Queue, Any], Any]:
    return lambda queue, _: method(Inspector(queue.link, prefix=queue.keys.prefix))


def settling(settle: Settle) -> Callable[[Queue, Any], Any]:
    return lambda queue, attempt: settle(queue, W, attempt)


def stands(queue: Queue, task_id: str) -> list[Any]:
    """What is told about a waiting task, but for the moments."""
    _, *place, workers, limits = ask(queue, Task(id=task_id, type="echo", queue="default", status=Status.PENDING))
    return [place, workers[:2], limits[2], limits[6:]]


def complete_together(queue: Queue, attempt: Attempt) -> Any:
    stream = Stream(queue, W)
    try:
        stream.post([Completion(attempt, b"1", 0.0)], 0)
        ended = stream.answer().ended
    except QueueUnavailable:
        ended = stream.recover()
    stream.close()
    return [verdict for _, verdict in ended]


def delete(queue: Queue, task_id: str) -> None:
    """As callers do it: a task that is gone already is as good."""
    with contextlib.suppress(TaskNotFound):
        queue.delete(task_id)


def move_schedule(queue: Queue, _: Any) -> None:
    schedules(queue).install(schedule("often", queue="other"))


def take(queue: Queue, fingerprint: str) -> Any:
    return repeats.claim(queue.link, queue.keys.prefix, "key", repeats.Claim("id", "default", True), fingerprint)


def add_requests(queue: Queue, requests: Requests) -> None:
    for _ in range(EVERY_TIME):
        requests.add(Inspector(queue.link, prefix=queue.keys.prefix))
        requests.count(Request("POST", "/tasks", 201))


def alike(queue: Queue, **fields: Any) -> Any:
    """Two steps of tasks; the replies to the first and to the others come over different ways."""
    ids = [str(at) for at in range(STEP + 2)]
    return [moments(answer) for answer in Alike(queue, task("", **fields)).enqueue_many(ids, [b"1"] * len(ids))]


def count_stale(queue: Queue, _: Any) -> None:
    for _ in range(EVERY_TIME):
        queue.reports.count_stale()


def one(command: str) -> tuple[str, ...]:
    return (command,)


CASES: Mapping[str, Case] = {
    **{verb: Case(one(verb), settling(act), running) for verb, act in SETTLES.items()},
    "complete and claim": Case(one("complete"), lambda q, it: q.complete(W, it, b"1", claim_next=True), running),
    "complete together": Case(
        one("complete_many"), lambda q, it: [complete_together(q, it) for _ in range(EVERY_TIME)], running
    ),
    "enqueue": Case(one("enqueue"), lambda q, _: q.enqueue_many([task("x"), task("y", delay_s=30), task("z")]), waiting),
    "enqueue low": Case(one("enqueue"), lambda q, _: q.enqueue(task("x", priority=Priority.LOW)), waiting),
    "enqueue alike": Case(one("enqueue_alike"), lambda q, _: alike(q, priority=Priority.HIGH, expires_in_s=60), waiting),
    "enqueue alike later": Case(one("enqueue_alike"), lambda q, _: alike(q, delay_s=30), waiting),
    "enqueue one alike": Case(one("enqueue_alike"), lambda q, _: moments(Alike(q, task("")).enqueue("x", None)), waiting),
    "cancel pending": Case(one("cancel"), lambda q, _: q.cancel("a"), waiting),
    "cancel scheduled": Case(one("cancel"), lambda q, _: q.cancel("d"), waiting),
    "cancel processing": Case(one("cancel"), lambda q, _: q.cancel("c", "why"), running),
    "cancel ended": Case(one("cancel"), lambda q, _: q.cancel("c"), ended),
    "delete pending": Case(one("delete"), lambda q, _: delete(q, "a"), waiting),
    "delete processing": Case(one("delete"), lambda q, _: delete(q, "c"), running),
    "delete ended": Case(one("delete"), lambda q, _: delete(q, "c"), ended),
    "requeue": Case(one("requeue"), lambda q, _: q.requeue("c"), ended),
    "requeue later": Case(one("requeue"), lambda q, _: q.requeue("c", 30), ended),
    "join": Case(one("join"), lambda q, _: q.join("v", 60, b"{}"), waiting),
    "leave": Case(one("leave"), lambda q, _: q.leave(W), waiting),
    "leave with a task": Case(one("leave"), lambda q, _: q.leave(W), running),
    "claim": Case(one("claim"), lambda q, _: q.claim(W), waiting),
    "claim nothing": Case(one("claim"), lambda q, _: q.claim("v"), idle),
    "extend": Case(one("extend"), lambda q, _: q.extend({W: MIB}, 60, 30), running),
    "extend after a gap": Case(one("extend"), lambda q, _: q.extend({"v": MIB}, 60, 30), long_unvisited),
    "lapsed": Case(one("lapsed"), lambda q, _: q.lapsed(30), silent),
    "lapsed after a gap": Case(one("lapsed"), lambda q, _: q.lapsed(30), long_unvisited),
    "put back": Case(one("put_back"), lambda q, it: put_back(q, W, it.id, it.attempt), running_ahead, forgets=True),
    "reap of what was claimed ahead": Case(one("reap"), lambda q, _: reap(q, W), running_ahead),
    "reap dead": Case(one("reap"), lambda q, _: reap(q, W), running),
    "reap silent": Case(one("reap"), lambda q, _: reap(q, W, dead=False), silent),
    "reap the last time": Case(one("reap"), lambda q, _: reap(q, W, max_crashes=1), running),
    "promote": Case(one("promote"), lambda q, _: q.promote(), due, forgets=True),
    "trim": Case(one("trim"), lambda q, _: q.trim(Status.FAILED, 60), aged, forgets=True),
    "announce": Case(one("announce"), lambda q, _: q.announce(), unannounced),
    "pause": Case(one("pause"), lambda q, _: gate.pause(q, "why"), claimed_unstarted),
    "resume": Case(one("resume"), lambda q, _: gate.resume(q), paused),
    "purge": Case(one("purge"), lambda q, _: gate.purge(q), waiting),
    "stops": Case(one("HGETALL"), lambda q, _: q.stops([W, "v"]), stopped),
    "stop done": Case(one("stopped"), lambda q, it: q.stop_done(W, it.id, it.attempt), stopped),
    "limit": Case(one("limit"), lambda q, _: put_in_force(q, Limits("one", {"echo": Limit(1)})), running, forgets=True),
    "claim of a limited type": Case(one("claim"), lambda q, _: q.claim(W), limited),
    "complete at a limit": Case(one("complete"), lambda q, it: q.complete(W, it, b"1", claim_next=True), limited_running),
    "standing": Case(one("standing"), lambda q, _: stands(q, "a"), parked),
    "cancel parked": Case(one("cancel"), lambda q, _: q.cancel("a"), parked),
    "wait": Case(
        ("BLMOVE", "claim", "complete"), lambda q, _: [wait_and_complete(q, W) for _ in range(EVERY_TIME)], waiting
    ),
    "wait in vain": Case(("BLMOVE", "claim"), lambda q, _: [wait_and_complete(q, "v") for _ in range(EVERY_TIME)], idle),
    "wait that is ended": Case(
        ("BLMOVE", "claim", "CLIENT ID", "CLIENT UNBLOCK"),
        lambda q, _: [wait_until_told(q, "v") for _ in range(EVERY_TIME)],
        idle,
    ),
    "wait for an end in vain": Case(
        ("watch", "BLPOP"), lambda q, _: [end_of(q, "a", BLOCK_S) for _ in range(EVERY_TIME)], waiting
    ),
    "load a script": Case(("SCRIPT LOAD", "claim"), lambda q, _: [flush_and_claim(q) for _ in range(EVERY_TIME)], waiting),
    "connect": Case(("CLIENT SETNAME", "CLIENT SETINFO", "claim"), lambda q, _: q.claim(W), waiting),
    "ping": Case(one("PING"), read(lambda i: i.ping())),
    "queue names": Case(one("SMEMBERS"), read(lambda i: i.queue_names()), waiting),
    "locate": Case(("SMEMBERS", "EXISTS"), read(lambda i: i.locate("a")), waiting),
    "get": Case(("SMEMBERS", "HGETALL"), read(lambda i: i.get("c")), ended),
    "page of a status": Case(
        ("SMEMBERS", "ZRANGE", "LLEN", "LRANGE", "ZSCORE", "HGETALL"),
        read(lambda i: sorted(t.id for t in i.page(Filter(status=Status.PROCESSING), limit=9).tasks)),
        running,
    ),
    "page of the ended": Case(
        ("SMEMBERS", "ZCARD", "ZRANGE", "ZSCORE", "HGETALL"),
        read(lambda i: sorted(t.id for t in i.page(Filter(status=Status.FAILED), limit=9).tasks)),
        ended,
    ),
    "page": Case(("SMEMBERS", "select", "HGETALL"), read(lambda i: sorted(t.id for t in i.page(limit=9).tasks)), ended),
    "state": Case(
        ("ZRANGE", "SMEMBERS", "LLEN", "LPOS", "ZCARD", "SCARD", "LRANGE", "HGETALL", "TIME", "HMGET"),
        read(lambda i: i.state("default")),
        running,
    ),
    "workers": Case(("TIME", "ZRANGE", "HGETALL", "LRANGE"), read(lambda i: i.workers("default")), running),
    "worker infos": Case(one("HGETALL"), read(lambda i: i.worker_infos("default")), running),
    "count a stale write": Case(one("HINCRBY"), count_stale, waiting),
    "types": Case(
        ("SMEMBERS", "TIME", "ZRANGE", "HGETALL", "HKEYS", "HGET"),
        read(lambda i: sorted(i.types()["default"].catalogs)),
        published,
    ),
    "watch": Case(one("watch"), lambda q, it: end_of(q, it.id, 0), running),
    "watch the end": Case(one("watch"), lambda q, _: end_of(q, "c", 0), ended),
    "expire": Case(one("expire"), lambda q, _: q.expire(), overdue),
    "progress": Case(one("progress"), lambda q, it: tell(q, W, it, Progress(1)), running),
    "output": Case(one("output"), lambda q, it: printed(q, W, it, b"text"), running),
    "install": Case(("HGETALL", "install"), lambda q, _: installed(q), waiting),
    "fire": Case(one("fire"), lambda q, _: schedules(q).fire(OFTEN, LATE_MS, OFTEN.task("tick")), installed),
    "run by hand": Case(one("fire"), lambda q, _: schedules(q).run(OFTEN, OFTEN.task("by-hand")), installed),
    "hold": Case(one("hold"), lambda q, _: schedules(q).pause(OFTEN, "why"), installed),
    "unhold": Case(one("unhold"), lambda q, _: schedules(q).resume(OFTEN), held),
    "publish": Case(one("publish"), lambda q, _: schedules(q).publish([OFTEN], forget=False), waiting),
    "move a schedule": Case(("HGETALL", "install", "UNLINK"), move_schedule, held),
    "idempotency key": Case(one("SET"), lambda q, _: take(q, "first"), waiting),
    "taken idempotency key": Case(one("SET"), lambda q, _: take(q, "second"), lambda q: take(q, "first")),
    "find tasks": Case(
        one("select"), lambda q, _: select(q, q.keys.tasks, Filter(type="echo"), Walk(None, enough=2)), ended
    ),
    "plan": Case(one("plan"), lambda q, _: operations(q).plan("op", DELETE_ALL), waiting),
    "take": Case(one("take"), lambda q, _: operations(q).take("me"), lambda q: operations(q).plan("op", DELETE_ALL)),
    "take nothing": Case(one("take"), lambda q, _: operations(q).take("me"), waiting),
    "advance": Case(one("advance"), lambda q, it: operations(q).advance("me", it), taken),
    "end an operation": Case(one("advance"), lambda q, it: operations(q).advance("me", replace(it, rest=None)), taken),
    "count": Case(one("count"), add_requests, lambda q: counted_requests()),
    "read the requests": Case(
        one("HGETALL"), read(lambda i: sorted(answered(i).items())), lambda q: add_requests(q, counted_requests())
    ),
    "fold": Case(one("fold"), lambda q, _: history.fold(q), minute_over, forgets=True),
    "read the counters": Case(
        ("MULTI", "HGETALL", "EXEC"), read(lambda i: sorted(stats.counted(i, "default").attempts().items())), minute_over
    ),
    "read the history": Case(
        ("TIME", "MULTI", "HGETALL", "EXEC"),
        read(lambda i: history.rates(i, "default", history.Now(i.now_ms()))[0] > 0),
        minute_over,
    ),
    "halt": Case(one("halt"), lambda q, it: operations(q).halt("op"), taken),
    "read an operation": Case(("HGETALL", "ZREVRANGE"), lambda q, it: operations(q).newest(), taken),
    "read the clock": Case(one("TIME"), read(lambda i: i.now_ms())),
    "examine the server": Case(("INFO", "ACL GETUSER"), lambda q, _: server.check(q.link, require_persistence=False)),
}
