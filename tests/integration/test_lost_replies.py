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
from typing import Any

import msgspec
import pytest

import taskq.queue
from taskq.errors import QueueUnavailable
from taskq.queue.connection import Link
from taskq.queue.ending import end_of
from taskq.queue.queue import Queue
from taskq.queue.schedules import Firing
from taskq.queue.scripts import names
from taskq.task import Status
from tests.faultproxy import FaultProxy, label, labelled
from tests.integration.beginnings import OFTEN, W, installed, running, schedules, task
from tests.integration.exchanges import CASES, EVERY_TIME, Case
from tests.integration.steps import claim, entries, now_ms, reap, record, status, until

STEP_MS = 10_000
"""Moments are compared as so many steps from now: coarse enough for a slow machine, fine enough to see one counted twice."""

MOMENT = re.compile(r"[12][0-9]{12}")
TOKEN = re.compile(r"^[0-9a-f]{16} ")
OPENING = {"CLIENT SETNAME", "CLIENT SETINFO", "SCRIPT LOAD", "SCRIPT FLUSH", "announce"}
"""Sent by whatever is the first to need it; a case of its own loses each."""


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
    commands |= {" ".join(filter(None, words)) for words in re.findall(r"\.call\(\s*\"([A-Z]+)\"(?:, \"([A-Z]+)\")?", code)}

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
