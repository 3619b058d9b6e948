"""The reply of any one command is lost, once, twice or three times in a row: all is as if it had not been.

Each case is performed twice from the same beginnings, over a link that loses nothing and over one that does; then what is
stored and what was answered must be the same, apart from the very moments.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

import taskq.queue
from taskq.catalog import Published
from taskq.errors import QueueUnavailable, TaskNotFound
from taskq.limits import Limit, Limits
from taskq.queue import gate, history, repeats, server, stats
from taskq.queue.alike import STEP, Alike, moments
from taskq.queue.connection import Link
from taskq.queue.ending import end_of
from taskq.queue.inspect import Inspector
from taskq.queue.keys import BELL
from taskq.queue.limits import put_in_force
from taskq.queue.operations import Action, Kind, Operations, Rest
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.requests import Request, Requests, answered
from taskq.queue.schedules import Firing, Schedules
from taskq.queue.scripts import load, names
from taskq.queue.selection import Filter, Walk, select
from taskq.queue.standing import ask
from taskq.task import Attempt, NewTask, Priority, Progress, Status, Task
from taskq.units import Rate
from tests.faultproxy import FaultProxy, label, labelled
from tests.integration.steps import (
    DETAIL,
    MIB,
    SETTLES,
    Settle,
    claim,
    entries,
    lapse,
    moved,
    now_ms,
    printed,
    reap,
    record,
    schedule,
    status,
    tell,
    until,
)  # fmt: skip

W = "w"
EVERY_TIME = 3
BLOCK_S = 0.1
STEP_MS = 10_000
"""Moments are compared as so many steps from now: coarse enough for a slow machine, fine enough to see one counted twice."""

MOMENT = re.compile(r"[12][0-9]{12}")
TOKEN = re.compile(r"^[0-9a-f]{16} ")
LATE_MS = 4_000_000_000_000
OFTEN = schedule("often")
OPENING = {"CLIENT SETNAME", "CLIENT SETINFO", "SCRIPT LOAD", "SCRIPT FLUSH", "announce"}
"""Sent by whatever is the first to need it; a case of its own loses each."""


class Case(NamedTuple):
    """`act` is what is done over the faulty link, with what `arrange` returned; `loses` are the commands that it sends. Its
    answer is not compared where it tells what the last try moved, and so `forgets` what an earlier one did."""

    loses: tuple[str, ...]
    act: Callable[[Queue, Any], Any]
    arrange: Callable[[Queue], Any] = lambda queue: None
    forgets: bool = False


# -- beginnings


def task(id_: str, **fields: Any) -> NewTask:
    return NewTask(id=id_, type="echo", **fields)


def idle(queue: Queue) -> None:
    queue.join("v", 60, b"{}")


def waiting(queue: Queue) -> None:
    """Three tasks wait, one is scheduled, and a worker has joined."""
    queue.enqueue_many([task("a"), task("b"), task("c", priority=Priority.HIGH), task("d", delay_s=30)])
    queue.join(W, 60, b"{}")


def running(queue: Queue) -> Any:
    """The worker runs c."""
    waiting(queue)
    return claim(queue, W)


def claim_ahead(queue: Queue) -> Attempt | None:
    return queue.claimed(W, queue.link.script(load("claim"), queue.claim_keys(W), [W, "1"]))


def running_ahead(queue: Queue) -> Any:
    """The worker runs c and has claimed a."""
    attempt = running(queue)
    assert claim_ahead(queue) is not None
    return attempt


def ended(queue: Queue) -> None:
    """c has failed, a is completed."""
    queue.fail(W, running(queue), "boom", DETAIL)
    queue.complete(W, claim(queue, W), b"1")


def due(queue: Queue) -> None:
    waiting(queue)
    queue.link.redis.zadd(queue.keys.scheduled, {"d": 1})


def aged(queue: Queue) -> None:
    ended(queue)
    queue.link.redis.zadd(queue.keys.failed, {"c": 1})


def claimed_unstarted(queue: Queue) -> None:
    waiting(queue)
    assert [moved(queue, W), moved(queue, W)] == [BELL, "a"]


def paused(queue: Queue) -> None:
    waiting(queue)
    gate.pause(queue)


def silent(queue: Queue) -> None:
    """The lease of the worker has lapsed; its list holds one started task, a claim and a bell."""
    running(queue)
    assert [moved(queue, W), moved(queue, W)] == [BELL, "a"]
    lapse(queue, W)


def long_unvisited(queue: Queue) -> None:
    """No maintenance has come for a hundred seconds."""
    running(queue)
    queue.lapsed(30)
    queue.link.redis.decrby(queue.keys.reaper, 100_000)


def stopped(queue: Queue) -> Any:
    attempt = running(queue)
    queue.cancel("c")
    return attempt


def limited(queue: Queue) -> None:
    waiting(queue)
    put_in_force(queue, Limits("one", {"echo": Limit(1, Rate(2, 3600))}))


def limited_running(queue: Queue) -> Any:
    limited(queue)
    return claim(queue, W)


def parked(queue: Queue) -> None:
    """c runs, and a second worker has found no room for the others."""
    limited_running(queue)
    queue.join("v", 60, b"{}")
    assert queue.claim("v") is None


def unannounced(queue: Queue) -> None:
    waiting(queue)
    queue.link.redis.delete(queue.keys.queues)


def wait_and_complete(queue: Queue, worker: str) -> Any:
    attempt = queue.wait(worker, 0.05)
    return attempt and (attempt, queue.complete(worker, attempt, b"1"))


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


def delete(queue: Queue, task_id: str) -> None:
    """As callers do it: a task that is gone already is as good."""
    with contextlib.suppress(TaskNotFound):
        queue.delete(task_id)


def overdue(queue: Queue) -> None:
    """A task waits that may no longer be started."""
    waiting(queue)
    queue.enqueue(task("e", expires_in_s=0.001))
    until(lambda: now_ms(queue) > int(record(queue, "e")["expires_at"]), "it has expired")


def schedules(queue: Queue) -> Schedules:
    return Schedules(Inspector(queue.link, prefix=queue.keys.prefix))


def installed(queue: Queue) -> int:
    return schedules(queue).install(OFTEN)


def held(queue: Queue) -> None:
    schedules(queue).publish([OFTEN], forget=False)
    installed(queue)
    schedules(queue).pause(OFTEN, "why")


def move_schedule(queue: Queue, _: Any) -> None:
    schedules(queue).install(schedule("often", queue="other"))


DELETE_ALL = Action(kind=Kind.DELETE, filter=Filter(type="echo"))


def operations(queue: Queue) -> Operations:
    return Operations(Inspector(queue.link, prefix=queue.keys.prefix))


def taken(queue: Queue) -> Any:
    """An operation of which one step was done, but not noted."""
    operations(queue).plan("op", DELETE_ALL)
    operation = operations(queue).take("me")
    assert operation is not None
    return replace(operation, matched=2, rest=Rest(batch=[("default", "a"), ("default", "b")], queue="default"))


def take(queue: Queue, fingerprint: str) -> Any:
    return repeats.claim(queue.link, queue.keys.prefix, "key", repeats.Claim("id", "default", True), fingerprint)


def counted_requests() -> Requests:
    requests = Requests("me")
    requests.count(Request("GET", "/tasks", 200))
    return requests


def add_requests(queue: Queue, requests: Requests) -> None:
    for _ in range(EVERY_TIME):
        requests.add(Inspector(queue.link, prefix=queue.keys.prefix))
        requests.count(Request("POST", "/tasks", 201))


def published(queue: Queue) -> None:
    """A worker has told its types."""
    waiting(queue)
    queue.join("v", 60, b'{"catalog": "0123456789abcdef"}', Published("0123456789abcdef", b"{}"))


def minute_over(queue: Queue) -> None:
    """The minute in which something was counted is over."""
    ended(queue)
    queue.link.redis.set(f"{queue.keys.stats}:minute", 1)


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
    "stops": Case(one("HMGET"), lambda q, _: q.stops([W, "v"]), stopped),
    "stop done": Case(one("stopped"), lambda q, it: q.stop_done(W, it.id, it.attempt), stopped),
    "limit": Case(one("limit"), lambda q, _: put_in_force(q, Limits("one", {"echo": Limit(1)})), running, forgets=True),
    "claim of a limited type": Case(one("claim"), lambda q, _: q.claim(W), limited),
    "complete at a limit": Case(one("complete"), lambda q, it: q.complete(W, it, b"1", claim_next=True), limited_running),
    "standing": Case(one("standing"), lambda q, _: stands(q, "a"), parked),
    "cancel parked": Case(one("cancel"), lambda q, _: q.cancel("a"), parked),
    "wait": Case(
        ("BLMOVE", "claim", "complete"), lambda q, _: [wait_and_complete(q, W) for _ in range(EVERY_TIME)], waiting
    ),
    "wait in vain": Case(one("BLMOVE"), lambda q, _: [wait_and_complete(q, "v") for _ in range(EVERY_TIME)], idle),
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
EVERY = [pytest.param(case, lost, id=f"{name}-{lost}") for name, case in CASES.items() for lost in case.loses]


@pytest.fixture(scope="module")
def proxy(redis_server: str) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.mark.parametrize("times", range(1, EVERY_TIME + 1))
@pytest.mark.parametrize(("case", "lost"), EVERY)
def test_a_lost_reply_changes_nothing(proxy: FaultProxy, link: Link, prefix: str, case: Case, lost: str, times: int) -> None:
    proxy.heal()
    answer, stored = perform(case, proxy, Queue(link, prefix=prefix))

    fault = proxy.lose_reply(labelled(lost), times=times)
    answer_with_fault, stored_with_fault = perform(case, proxy, Queue(link, prefix=f"{prefix}-fault"))

    assert fault.hits == times
    assert stored_with_fault == stored
    if not case.forgets:
        assert answer_with_fault == answer


def test_a_move_whose_reply_was_lost_is_found_by_the_next_claim(proxy: FaultProxy, queue: Queue) -> None:
    proxy.heal()
    queue.join(W, 60, b"{}")
    queue.enqueue(task("a"))
    fault = proxy.lose_reply(labelled("BLMOVE"))
    far = Queue(Link(proxy.url), prefix=queue.keys.prefix)

    with contextlib.closing(far.link), pytest.raises(QueueUnavailable):
        far.link.block_move(queue.keys.pending, queue.keys.processing(W), 1)

    assert fault.hits == 1
    assert entries(queue, queue.keys.processing(W)) == ["a"]
    assert status(queue, "a") is Status.PENDING
    assert claim(queue, W).attempt == 1


def test_an_end_is_seen_although_the_reply_that_tells_of_it_was_lost(proxy: FaultProxy, queue: Queue) -> None:
    proxy.heal()
    attempt = running(queue)
    fault = proxy.lose_reply(labelled("BLPOP"))
    far = Queue(Link(proxy.url), prefix=queue.keys.prefix)

    with contextlib.closing(far.link), ThreadPoolExecutor(1) as threads:
        ended = threads.submit(end_of, far, attempt.id, 60)
        until(lambda: record(queue, attempt.id).get("awaited"), "somebody waits")
        queue.complete(W, attempt, b"1")
        task = ended.result(30)

    assert fault.hits == 1
    assert task is not None
    assert task.status is Status.COMPLETED


def test_every_case_says_what_it_sends(proxy: FaultProxy, link: Link, prefix: str) -> None:
    proxy.heal()
    for name, case in CASES.items():
        before = len(proxy.seen)
        perform(case, proxy, Queue(link, prefix=f"{prefix}-{name}"))
        sent = {label(command) for command in proxy.seen[before:]}
        assert sent - OPENING <= set(case.loses) <= sent, name


def test_the_cases_send_every_command_that_the_queue_room_knows() -> None:
    room = Path(taskq.queue.__path__[0])
    code = "".join(path.read_text() for path in room.glob("*.py"))
    called = set(re.findall(r"\b(?:client|pipe)\.([a-z_]+)\(", code)) - {
        "pipeline",
        "execute",
        "close",
    }
    commands = {name.upper().replace("_", " ") for name in called - {"evalsha"}}
    commands |= set(re.findall(r"\.call\(\s*\"([A-Z ]+)\"", code))

    assert {lost for case in CASES.values() for lost in case.loses} >= commands | set(names())


def perform(case: Case, proxy: FaultProxy, queue: Queue) -> tuple[Any, Any]:
    """What is answered through the proxy and what is stored then, both with moments made comparable."""
    arranged = case.arrange(queue)
    far = Queue(Link(proxy.url, patience_s=20), prefix=queue.keys.prefix)
    with contextlib.closing(far.link):
        answer = case.act(far, arranged)
    now = now_ms(queue)
    keys: Any = sorted(queue.link.redis.scan_iter(match=f"{{{queue.keys.prefix}[:}}]*", count=10_000))
    stored = {key.decode().split("}", 1)[1]: value_of(queue, key) for key in keys if b":reply:" not in key}
    for key in [key for key in stored if key.startswith(":stats") and isinstance(stored[key], dict)]:
        stored[re.sub(r":[0-9]+$", "", key)] = without_durations(stored.pop(key))
    return plain(msgspec.to_builtins(answer), now), plain(stored, now)


def without_durations(stats: Mapping[bytes, bytes]) -> Counter[str]:
    """How often each event was counted, whatever the buckets of the durations."""
    counts: Counter[str] = Counter()
    for field, number in stats.items():
        words = ["bucket" if word[:1].isdigit() else word for word in field.decode().split(":")]
        if words != ["minute"] and "ms" not in words and not words[0].endswith("_ms"):
            counts[":".join(words)] += int(number)
    return counts


def value_of(queue: Queue, key: bytes) -> Any:
    client: Any = queue.link.redis
    readers: dict[bytes, Callable[[], Any]] = {
        b"list": lambda: client.lrange(key, 0, -1),
        b"hash": lambda: client.hgetall(key),
        b"zset": lambda: dict(client.zrange(key, 0, -1, withscores=True)),
        b"set": lambda: sorted(client.smembers(key)),
        b"string": lambda: client.get(key),
    }
    return readers[client.type(key)]()


def plain(value: Any, now: float) -> Any:
    """The same with moments and durations in steps: moments, which have 13 digits, counted from `now`."""
    if isinstance(value, dict):
        return {plain(key, now): plain(item, now) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, now) for item in value]
    if isinstance(value, bytes):
        value = TOKEN.sub("token ", value.decode())
    if isinstance(value, (str, int, float)) and MOMENT.fullmatch(str(value).removesuffix(".0")):
        return f"{round((float(value) - now) / STEP_MS)} steps from now"
    return round(value * 1000 / STEP_MS) if isinstance(value, float) else value


def test_a_call_whose_patience_ended_is_answered_at_its_next_turn(
    proxy: FaultProxy, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.heal()
    running(queue)
    queue.enqueue(task("e", expires_in_s=0.001))
    installed(queue)
    tick_ms = now_ms(queue)
    until(lambda: now_ms(queue) > max(tick_ms, int(record(queue, "e")["expires_at"])), "it has expired, and the tick is due")
    queue.link.redis.hset(queue.keys.schedule(OFTEN.name), "tick", tick_ms - 1)
    far = Queue(Link(proxy.url, patience_s=0), prefix=queue.keys.prefix)
    known = schedules(far)
    calls: dict[str, Callable[[], Any]] = {
        "reap": lambda: [reaped.crashes for reaped in reap(far, W)],
        "fire": lambda: known.fire(OFTEN, tick_ms, OFTEN.task("tick")),
        "expire": far.expire,
    }
    answers = {}
    with contextlib.closing(far.link):
        far.announce()
        for name, call in calls.items():
            proxy.lose_reply(labelled(name))
            with pytest.raises(QueueUnavailable):
                call()
            answers[name] = call()

    assert answers == {"reap": [1], "fire": Firing.FIRED, "expire": False}
    assert "it waited longer than it may" in caplog.text
    assert schedules(queue).fire(OFTEN, tick_ms, OFTEN.task("tick")) is Firing.PAST
