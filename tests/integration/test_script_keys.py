"""The keys that `Queue` passes to a script are those that the script's header names, in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis
import pytest

from taskq.limits import Limit, Limits
from taskq.queue import gate, scripts
from taskq.queue.alike import Alike
from taskq.queue.connection import Link
from taskq.queue.ending import end_of
from taskq.queue.history import fold
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.line import evalsha
from taskq.queue.operations import Action, Kind, Operation, Operations
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.requests import Request, Requests
from taskq.queue.schedules import Schedules
from taskq.queue.scripts import Script
from taskq.queue.selection import Filter, Walk, select
from taskq.queue.standing import ask
from taskq.task import Attempt, Progress, Status, Task
from tests.integration.steps import (
    DETAIL,
    LEASE_S,
    MIB,
    PAUSE_S,
    SETTLES,
    claim,
    enqueued,
    joined,
    new,
    printed,
    reap,
    schedule,
    tell,
)


class Watched(Link):
    """Remembers the keys of every script that ran."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.ran: dict[str, list[str]] = {}

    def post(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Callable[[], Any]:
        self._note(script, evalsha(script, keys, args))
        return super().post(script, keys, args)

    def packed(self, script: Script, command: bytes) -> Any:
        self._note(script, command)
        return super().packed(script, command)

    def _note(self, script: Script, command: bytes) -> None:
        reader = hiredis.Reader(encoding="utf-8")
        reader.feed(command)
        _, _, count, *words = reader.gets()
        self.ran[script.name] = words[: int(count)]


class Held(Queue):
    """A queue over a watched link, with a worker that runs a task."""

    def __init__(self, link: Watched, prefix: str) -> None:
        super().__init__(link, prefix=prefix)
        self.ran = link.ran
        enqueued(self)
        self.worker = joined(self)
        self.attempt: Attempt = claim(self, self.worker)
        link.ran.clear()


@pytest.fixture
def held(redis_url: str, prefix: str) -> Iterator[Held]:
    link = Watched(redis_url)
    yield Held(link, prefix)
    link.close()


OFTEN = schedule("often")


def schedules(queue: Held) -> Schedules:
    inspector = Inspector(queue.link, prefix=queue.keys.prefix)
    inspector.queue("default").announce()
    queue.ran.clear()
    return Schedules(inspector)


def counted(queue: Held) -> None:
    requests = Requests("me")
    requests.count(Request("GET", "/tasks", 200))
    requests.add(Inspector(queue.link, prefix=queue.keys.prefix))


ACTION = Action(kind=Kind.DELETE, filter=Filter(type="echo"))
OPERATION = Operation(id="id", action=ACTION, state="running", step=0, created_at_ms=1)


def operations(queue: Held) -> Operations:
    return Operations(Inspector(queue.link, prefix=queue.keys.prefix))


CALLS: dict[str, Callable[[Held], Any]] = {
    "announce": lambda queue: Queue(queue.link, prefix=queue.keys.prefix).announce(),
    "enqueue": enqueued,
    "enqueue_alike": lambda queue: Alike(queue, new()).enqueue("id", None),
    "cancel": lambda queue: queue.cancel(queue.attempt.id),
    "watch": lambda queue: end_of(queue, queue.attempt.id, 0),
    "delete": lambda queue: queue.delete(queue.attempt.id),
    "requeue": lambda queue: queue.requeue(queue.attempt.id),
    "join": lambda queue: queue.join(queue.worker, LEASE_S, b"{}"),
    "leave": lambda queue: queue.leave(queue.worker),
    "limit": lambda queue: put_in_force(queue, Limits("one", {"echo": Limit(1)})),
    "stopped": lambda queue: queue.stop_done(queue.worker, queue.attempt.id, 1),
    "claim": lambda queue: queue.claim(queue.worker),
    "complete": lambda queue: SETTLES["complete"](queue, queue.worker, queue.attempt),
    "complete_many": lambda queue: queue.link.script(
        scripts.load("complete_many"), queue.complete_keys(queue.worker), [queue.worker, "1", queue.attempt.id, "1", "1"]
    ),
    "retry": lambda queue: queue.retry(queue.worker, queue.attempt, 1, "boom", DETAIL),
    "fail": lambda queue: queue.fail(queue.worker, queue.attempt, "boom", DETAIL),
    "crash": lambda queue: SETTLES["crash"](queue, queue.worker, queue.attempt),
    "release": lambda queue: queue.release(queue.worker, queue.attempt),
    "output": lambda queue: printed(queue, queue.worker, queue.attempt, b"text"),
    "progress": lambda queue: tell(queue, queue.worker, queue.attempt, Progress(1)),
    "extend": lambda queue: queue.extend({queue.worker: MIB}, LEASE_S, PAUSE_S),
    "lapsed": lambda queue: queue.lapsed(PAUSE_S),
    "reap": lambda queue: reap(queue, queue.worker),
    "put_back": lambda queue: put_back(queue, queue.worker, queue.attempt.id, 1),
    "promote": lambda queue: queue.promote(),
    "expire": lambda queue: queue.expire(),
    "trim": lambda queue: queue.trim(Status.FAILED, 60),
    "pause": gate.pause,
    "resume": gate.resume,
    "purge": gate.purge,
    "fire": lambda queue: schedules(queue).fire(OFTEN, 1000, OFTEN.task(queue.attempt.id)),
    "install": lambda queue: schedules(queue).install(OFTEN),
    "hold": lambda queue: schedules(queue).pause(OFTEN),
    "unhold": lambda queue: schedules(queue).resume(OFTEN),
    "publish": lambda queue: schedules(queue).publish([OFTEN], forget=False),
    "select": lambda queue: select(queue, queue.keys.tasks, Filter(type="echo"), Walk(None)),
    "standing": lambda queue: ask(queue, Task(id="a", type="echo", queue="default", status=Status.PENDING)),
    "plan": lambda queue: operations(queue).plan("id", ACTION),
    "take": lambda queue: operations(queue).take("holder"),
    "advance": lambda queue: operations(queue).advance("holder", OPERATION),
    "halt": lambda queue: operations(queue).halt("id"),
    "fold": fold,
    "count": counted,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_keys_passed_are_the_keys_named(held: Held, name: str) -> None:
    CALLS[name](held)

    special = {
        "processing": held.keys.processing(held.worker),
        "ended": held.keys.failed,
        "index": held.keys.tasks,
        "counted": f"{held.keys.requests}:me",
        "schedule": held.keys.schedule(OFTEN.name),
    }
    named = scripts.load(name).keys
    assert held.ran == {name: [special[key] if key in special else getattr(held.keys, key) for key in named]}


def test_every_script_is_called() -> None:
    assert sorted(CALLS) == scripts.names()
