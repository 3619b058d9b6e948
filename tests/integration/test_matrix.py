"""Every script against a task in every state: allowed pairs land in the stated state, the others leave every byte alone."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from taskq.errors import TaskNotFound, TaskSpared
from taskq.limits import Limit, Limits
from taskq.queue import gate, scripts
from taskq.queue.alike import Alike
from taskq.queue.answers import Guard
from taskq.queue.ending import end_of
from taskq.queue.history import fold
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.operations import Action, Kind, Operation, Operations
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.requests import Request, Requests
from taskq.queue.schedules import Schedules
from taskq.queue.selection import Filter, Walk, select
from taskq.queue.standing import ask
from taskq.task import Attempt, Priority, Progress, Status, Task
from tests.integration.steps import (
    DETAIL,
    EVERY_SETTLE,
    LEASE_S,
    MIB,
    PAUSE_S,
    SETTLES,
    claim,
    enqueued,
    joined,
    lapse,
    new,
    printed,
    reap,
    schedule,
    snapshot,
    started,
    status,
    tell,
    trip,
)

GONE = "gone"


class Case(NamedTuple):
    """A task in some state; `me` was or may be its worker."""

    queue: Queue
    me: str
    task_id: str

    @property
    def attempt(self) -> Attempt:
        return Attempt(id=self.task_id, type="echo", queue="default", attempt=1)


def enqueued_case(queue: Queue, priority: Priority, **fields: Any) -> Case:
    return Case(queue, joined(queue, "me"), enqueued(queue, priority=priority, **fields))


def started_case(queue: Queue, priority: Priority) -> Case:
    me = joined(queue, "me")
    return Case(queue, me, started(queue, me, priority=priority).id)


def claimed(queue: Queue, priority: Priority) -> Case:
    case = enqueued_case(queue, priority)
    source = {Priority.HIGH: queue.keys.high, Priority.LOW: queue.keys.low}.get(priority, queue.keys.pending)
    queue.link.redis.lmove(source, queue.keys.processing(case.me), "RIGHT", "LEFT")
    return case


def of_another_worker(queue: Queue, priority: Priority) -> Case:
    case = enqueued_case(queue, priority)
    claim(queue, joined(queue, "other"))
    return case


def settled(verb: str) -> Callable[[Queue, Priority], Case]:
    def make(queue: Queue, priority: Priority) -> Case:
        case = started_case(queue, priority)
        SETTLES[verb](queue, case.me, case.attempt)
        return case

    return make


def due(queue: Queue, priority: Priority) -> Case:
    case = started_case(queue, priority)
    queue.retry(case.me, case.attempt, 0, "boom", DETAIL)
    return case


def withdrawn(verb: str) -> Callable[[Queue, Priority], Case]:
    def make(queue: Queue, priority: Priority) -> Case:
        case = started_case(queue, priority)
        getattr(queue, verb)(case.task_id)
        return case

    return make


def overdue(queue: Queue, priority: Priority, **fields: Any) -> Case:
    case = enqueued_case(queue, priority, expires_in_s=600, **fields)
    queue.link.redis.hset(queue.keys.task(case.task_id), "expires_at", 1)
    queue.link.redis.zadd(queue.keys.expiring, {case.task_id: 1})
    return case


STATES: dict[str, Callable[[Queue, Priority], Case]] = {
    "scheduled": lambda queue, priority: enqueued_case(queue, priority, delay_s=600),
    "due": due,
    "pending": enqueued_case,
    "overdue": overdue,
    "overdue and scheduled": lambda queue, priority: overdue(queue, priority, delay_s=600),
    "released": settled("release"),
    "claimed": claimed,
    "mine": started_case,
    "other's": of_another_worker,
    "completed": settled("complete"),
    "failed": settled("fail"),
    "cancelled": withdrawn("cancel"),
    "missing": withdrawn("delete"),
}


SCHEDULE = schedule("often")


def schedules(case: Case) -> Schedules:
    return Schedules(Inspector(case.queue.link, prefix=case.queue.keys.prefix))


ACTION = Action(kind=Kind.DELETE, filter=Filter(type="echo"))


def operations(case: Case) -> Operations:
    return Operations(Inspector(case.queue.link, prefix=case.queue.keys.prefix))


def spared(case: Case, verb: Callable[[Guard], object]) -> None:
    """Neither with another status than it has, nor if it ended too late."""
    now = status(case.queue, case.task_id)
    guards = [Guard(only=other) for other in Status if other is not now]
    for guard in [*guards, *([Guard(upto_ms=1)] if now is not None and now.final else [])]:
        with pytest.raises((TaskSpared, TaskNotFound)):
            verb(guard)


def reap_lapsed(case: Case) -> None:
    reap(case.queue, case.me, dead=False)


def settle_with(verb: str) -> Callable[[Case], Any]:
    return lambda case: EVERY_SETTLE[verb](case.queue, case.me, case.attempt)


def count(case: Case) -> None:
    requests = Requests("me")
    requests.count(Request("GET", "/tasks", 200))
    requests.add(Inspector(case.queue.link, prefix=case.queue.keys.prefix))


def trim(case: Case) -> None:
    for ended in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
        case.queue.trim(ended, 0)


VERBS: dict[str, Callable[[Case], Any]] = {
    "announce": lambda case: Queue(case.queue.link, prefix=case.queue.keys.prefix).announce(),
    "enqueue": lambda case: case.queue.enqueue(new(id=case.task_id)),
    "enqueue_alike": lambda case: Alike(case.queue, new()).enqueue(case.task_id, b"1"),
    "claim": lambda case: case.queue.claim(case.me),
    "claim many": lambda case: trip(case.queue, case.me, claims=3),
    **{verb: settle_with(verb) for verb in EVERY_SETTLE},
    "reap dead": lambda case: reap(case.queue, case.me, dead=True),
    "reap lapsed": reap_lapsed,
    "put_back": lambda case: put_back(case.queue, case.me, case.task_id, 1),
    "promote": lambda case: case.queue.promote(),
    "expire": lambda case: case.queue.expire(),
    "standing": lambda case: ask(case.queue, Task(id=case.task_id, type="echo", queue="default", status=Status.PENDING)),
    "watch": lambda case: end_of(case.queue, case.task_id, 0),
    "cancel": lambda case: case.queue.cancel(case.task_id),
    "delete": lambda case: case.queue.delete(case.task_id),
    "requeue": lambda case: case.queue.requeue(case.task_id),
    "trim": trim,
    "output": lambda case: printed(case.queue, case.me, case.attempt, b"text"),
    "progress": lambda case: tell(case.queue, case.me, case.attempt, Progress(1, 2, "half")),
    "extend": lambda case: case.queue.extend({case.me: MIB}, LEASE_S, PAUSE_S),
    "lapsed": lambda case: case.queue.lapsed(PAUSE_S),
    "join": lambda case: case.queue.join(case.me, LEASE_S, b'{"host": "here"}'),
    "leave": lambda case: case.queue.leave(case.me),
    "limit": lambda case: put_in_force(case.queue, Limits("one", {"other": Limit(1)})),
    "stopped": lambda case: case.queue.stop_done(case.me, case.task_id, 1),
    "pause": lambda case: gate.pause(case.queue, "because"),
    "resume": lambda case: gate.resume(case.queue),
    "purge": lambda case: gate.purge(case.queue),
    "fire": lambda case: schedules(case).fire(SCHEDULE, 1000, SCHEDULE.task(case.task_id)),
    "install": lambda case: schedules(case).install(SCHEDULE),
    "hold": lambda case: schedules(case).pause(SCHEDULE),
    "unhold": lambda case: schedules(case).resume(SCHEDULE),
    "publish": lambda case: schedules(case).publish([SCHEDULE], forget=True),
    "select": lambda case: select(case.queue, case.queue.keys.tasks, Filter(type="echo"), Walk(None)),
    "plan": lambda case: operations(case).plan("id", ACTION),
    "take": lambda case: operations(case).take("holder"),
    "advance": lambda case: operations(case).advance(
        "holder", Operation(id="id", action=ACTION, state="", step=0, created_at_ms=1)
    ),
    "halt": lambda case: operations(case).halt("id"),
    "fold": lambda case: fold(case.queue),
    "count": lambda case: count(case),
    "cancel spared": lambda case: spared(case, lambda guard: case.queue.cancel(case.task_id, guard=guard)),
    "delete spared": lambda case: spared(case, lambda guard: case.queue.delete(case.task_id, guard)),
    "requeue spared": lambda case: spared(case, lambda guard: case.queue.requeue(case.task_id, guard=guard)),
}

ALLOWED: dict[tuple[str, str], str] = {
    ("enqueue", "missing"): "pending",
    ("enqueue_alike", "missing"): "pending",
    **{("claim", state): "processing" for state in ("pending", "released", "claimed")},
    **{("claim many", state): "processing" for state in ("pending", "released")},
    **{(verb, "overdue"): "failed" for verb in ("claim", "claim many")},
    **{("expire", state): "failed" for state in ("overdue", "overdue and scheduled")},
    **{(verb, "mine"): "completed" for verb in ("complete", "complete_many")},
    ("retry", "mine"): "scheduled",
    ("fail", "mine"): "failed",
    ("release", "mine"): "pending",
    ("crash", "mine"): "pending",
    ("progress", "mine"): "processing",
    ("output", "mine"): "processing",
    ("output", "cancelled"): "cancelled",
    **{(verb, state): "pending" for verb in ("reap dead", "reap lapsed") for state in ("claimed", "mine")},
    ("promote", "due"): "pending",
    # the record then says that somebody waits
    **{("watch", state): "scheduled" for state in ("scheduled", "due", "overdue and scheduled")},
    **{("watch", state): "pending" for state in ("pending", "overdue", "released", "claimed")},
    **{("watch", state): "processing" for state in ("mine", "other's")},
    **{("cancel", state): "cancelled" for state in STATES if state not in ("completed", "failed", "cancelled", "missing")},
    **{("delete", state): GONE for state in STATES if state != "missing"},
    **{("requeue", state): "pending" for state in ("failed", "cancelled")},
    **{("trim", state): GONE for state in ("completed", "failed", "cancelled")},
    ("fire", "missing"): "pending",
    **{("pause", state): "pending" for state in ("pending", "overdue", "released", "claimed")},
    **{("purge", state): GONE for state in ("scheduled", "due", "pending", "overdue", "overdue and scheduled", "released")},
}

PAIRS = [(verb, state) for verb in VERBS for state in STATES]


def beside_the_task(case: Case, verb: str) -> tuple[str, ...]:
    """The keys that a verb may change whatever becomes of the task: what it knows of workers and of time."""
    keys = case.queue.keys
    return {
        "reap dead": (keys.leases, keys.stops),
        "reap lapsed": (keys.stops, keys.counters),
        "count": (keys.requests, f"{keys.requests}:me"),
        "extend": (keys.leases, keys.reaper, keys.residents),
        "lapsed": (keys.reaper,),
        "leave": (keys.leases, keys.workers, keys.stops),
        "pause": (keys.paused,),
        "limit": (keys.limits, f"{keys.limits}:known"),
        "stopped": (keys.stops,),
        "fold": (f"{keys.stats}:minute",),
        "publish": (keys.schedules, keys.seen),
        "plan": (keys.operations, keys.open_operations, keys.operation_prefix + "id"),
        **dict.fromkeys(("fire", "install", "hold"), (keys.schedule(SCHEDULE.name),)),
    }.get(verb, ())


def prepared(queue: Queue, verb: str, state: str, priority: Priority) -> Case:
    case = STATES[state](queue, priority)
    queue.link.redis.lrem(queue.keys.pending, 0, "!")
    if verb == "reap lapsed":
        lapse(queue, case.me)
    return case


@contextlib.contextmanager
def nothing_found() -> Iterator[None]:
    try:
        yield
    except TaskNotFound:
        pass


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize(("verb", "state"), [pair for pair in PAIRS if pair not in ALLOWED])
def test_a_forbidden_pair_leaves_every_byte_as_it_was(queue: Queue, verb: str, state: str, priority: Priority) -> None:
    case = prepared(queue, verb, state, priority)
    but = beside_the_task(case, verb)
    before = snapshot(queue, but)

    with nothing_found():
        VERBS[verb](case)

    assert snapshot(queue, but) == before


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize(("verb", "state"), ALLOWED)
def test_an_allowed_pair_lands_in_the_stated_state_and_nowhere_else(
    queue: Queue, verb: str, state: str, priority: Priority
) -> None:
    case = prepared(queue, verb, state, priority)
    before = places(queue, case.task_id)

    VERBS[verb](case)

    if state == "claimed" and verb in ("cancel", "delete"):
        assert queue.claim(case.me) is None  # the worker that holds the claim drops it when it looks
    landed = status(queue, case.task_id)
    assert (landed or GONE) == ALLOWED[verb, state]
    stated = stated_places(landed, Priority.NORMAL if verb in ("enqueue", "enqueue_alike", "fire") else priority, verb)
    assert places(queue, case.task_id) == (before if verb == "watch" else stated)


def test_every_script_has_its_row() -> None:
    rows = {verb.split()[0] for verb in VERBS}

    assert rows == set(scripts.names())


def places(queue: Queue, task_id: str) -> Counter[str]:
    """Every list and set that names the task, without the prefix and the worker's id. What waits for the end of a task's
    time to start may name it until then."""
    client: Any = queue.link.redis
    found: Counter[str] = Counter()
    for key in client.scan_iter(match=f"{{{queue.keys.prefix}*", count=10_000):
        kind = client.type(key)
        name = key.decode().partition("}")[2].removeprefix(":")
        name = "processing" if name.startswith("processing:") else name
        if name == "expiring":
            continue
        if kind == b"list":
            found[name] += client.lrange(key, 0, -1).count(task_id.encode())
        elif kind == b"zset" and client.zscore(key, task_id) is not None:
            found[name] += 1
    return +found


def stated_places(landed: Status | None, priority: Priority, verb: str) -> Counter[str]:
    """Where a task in some state stands: once in the one place of its state, and once in the listing."""
    if landed is None:
        return Counter()
    waiting = "pending" if priority is Priority.NORMAL else f"pending:{priority}"
    waiting += ":paused" if verb == "pause" else ""
    return Counter(["tasks", waiting if landed is Status.PENDING else str(landed)])
