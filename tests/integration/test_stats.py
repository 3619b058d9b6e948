"""What became of attempts is counted by the step that ends them: once, whatever is repeated or overtaken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import taskq.queue
from taskq.errors import UniqueKeyTaken
from taskq.queue import stats
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.stats import BOUNDS_S, Counted
from taskq.task import ErrorDetail, ErrorKind, Verdict
from tests.integration.steps import DETAIL, SETTLES, claim, enqueued, joined, new, started

KILLED = ErrorDetail(kind=ErrorKind.CRASH, message="killed", signal="SIGKILL")


def counted(queue: Queue) -> Counted:
    return stats.counted(Inspector(queue.link, prefix=queue.keys.prefix), queue.name)


@pytest.mark.parametrize("verb", SETTLES)
def test_a_settle_is_counted_once_however_often_it_is_repeated(queue: Queue, verb: str) -> None:
    me = joined(queue)
    attempt = started(queue, me)

    assert [SETTLES[verb](queue, me, attempt) for _ in range(3)] == [Verdict.OK] * 3

    assert {key: runs.count for key, runs in counted(queue).runs.items()} == {(verb, "echo"): 1}


def test_a_stale_settle_is_not_counted(queue: Queue) -> None:
    me = joined(queue)
    attempt = started(queue, me)
    queue.cancel(attempt.id)

    assert queue.complete(me, attempt, b"1")[0] is Verdict.STALE
    assert {event: runs.count for (event, _), runs in counted(queue).runs.items()} == {"cancel": 1}


def test_a_cancelled_attempt_is_told_from_a_cancelled_wait_and_from_a_deleted_attempt(queue: Queue) -> None:
    queue.cancel(enqueued(queue))
    queue.cancel(enqueued(queue, delay_s=60))
    queue.delete(enqueued(queue))
    me = joined(queue)
    for verb in (queue.cancel, queue.cancel, queue.delete):
        verb(started(queue, me).id)

    found = counted(queue)
    assert {key: runs.count for key, runs in found.runs.items()} == {("cancel", "echo"): 2, ("delete", "echo"): 1}
    assert found.ends == {("withdraw", "echo"): 2}
    assert found.attempts() == {("cancelled", "echo"): 2, ("deleted", "echo"): 1}


def test_every_task_that_is_accepted_is_counted_once(queue: Queue) -> None:
    tasks = [new("one"), new("one", delay_s=60), new("two", unique_key="key")]
    for _ in range(2):
        queue.enqueue_many(tasks)
    with pytest.raises(UniqueKeyTaken):
        queue.enqueue(new("two", unique_key="key"))
    queue.enqueue_many([new("two"), new("two", unique_key="key")], whole=True)

    assert counted(queue).enqueued == {"one": 2, "two": 1}


def test_a_wait_is_counted_once_from_when_the_task_could_have_started(queue: Queue) -> None:
    me, task_id = joined(queue), enqueued(queue)
    record = queue.keys.task(task_id)
    ready = queue.link.redis.hget(record, "ready_at")
    assert isinstance(ready, bytes)
    queue.link.redis.hset(record, "ready_at", int(ready) - 100_000)

    attempt = claim(queue, me)
    for _ in range(3):
        queue.complete(me, attempt, b"1")

    waits = counted(queue).waits["echo"]
    assert waits.buckets[BOUNDS_S.index(300)] == waits.count == 1
    assert waits.estimate_s == (60 + 300) / 2


def test_a_crash_is_one_attempt_that_crashed_whoever_died(queue: Queue) -> None:
    me = joined(queue)
    SETTLES["crash"](queue, me, started(queue, me))
    claim(queue, me)
    queue.reap(me, dead=True, max_crashes=9, error="killed", detail=KILLED)

    found = counted(queue)
    assert found.attempts() == {("crashed", "echo"): 2}
    assert {key: runs.count for key, runs in found.runs.items()} == {("crash", "echo"): 1}


def test_durations_are_summed_and_put_into_buckets(queue: Queue) -> None:
    me = joined(queue)
    attempt = started(queue, me)
    record = queue.keys.task(attempt.id)
    began = queue.link.redis.hget(record, "started_at")
    assert isinstance(began, bytes)
    queue.link.redis.hset(record, "started_at", int(began) - 100_000)

    queue.complete(me, attempt, b"1")

    runs = counted(queue).runs["complete", "echo"]
    assert runs.sum_s >= 100
    assert sum(runs.buckets[BOUNDS_S.index(300) :]) == runs.count == 1


def test_crashes_are_counted_by_cause_and_the_end_of_a_poison_task(queue: Queue) -> None:
    enqueued(queue)
    for _ in range(2):
        me = joined(queue)
        claim(queue, me)
        for _ in range(2):
            queue.reap(me, dead=True, max_crashes=2, error="killed", detail=KILLED)

    assert counted(queue).deaths == {("SIGKILL", "echo"): 2}
    assert counted(queue).ends == {("bury", "echo"): 1}


def test_a_task_that_expires_is_counted(queue: Queue) -> None:
    task_id = enqueued(queue, expires_in_s=600)
    queue.link.redis.hset(queue.keys.task(task_id), "expires_at", 1)

    assert queue.claim(joined(queue)) is None

    assert counted(queue).ends == {("expire", "echo"): 1}


def test_types_beyond_the_room_are_counted_as_one_without_a_name(queue: Queue) -> None:
    queue.link.redis.hset(queue.keys.stats, mapping={f"die:exit:{number}": 1 for number in range(20_000)})
    me = joined(queue)
    for _ in range(2):
        queue.fail(me, started(queue, me), "boom", DETAIL)

    found = counted(queue)
    assert {key: runs.count for key, runs in found.runs.items()} == {("fail", ""): 2}
    assert len(found.deaths) == 20_000


def test_a_counter_that_cannot_be_raised_stops_no_settle(queue: Queue) -> None:
    me = joined(queue)
    attempt = started(queue, me)
    queue.link.redis.set(queue.keys.stats, "garbage")

    assert queue.complete(me, attempt, b"1")[0] is Verdict.OK


def test_the_scripts_have_the_same_buckets() -> None:
    source = (Path(taskq.queue.__path__[0]) / "lua/lib/attempts.lua").read_text(encoding="utf-8")
    found = re.findall(r"ms <= (\d+) and '(\d+)'", source)

    assert found == [(f"{bound * 1000:.0f}", str(number)) for number, bound in enumerate(BOUNDS_S, start=1)]
