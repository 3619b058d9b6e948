"""Several completions and claims in one trip do what the same one by one would."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskq.queue import gate, stats
from taskq.queue.inspect import Inspector
from taskq.queue.keys import BELL
from taskq.queue.queue import Queue
from taskq.task import Attempt, Priority, Status, Verdict
from tests.integration.steps import claim, enqueued, entries, joined, members, new, record, status, trip


def ids(attempts: Sequence[Attempt]) -> list[str]:
    return [attempt.id for attempt in attempts]


def test_claims_take_high_then_normal_then_low_each_in_its_order(queue: Queue) -> None:
    worker = joined(queue)
    tasks = {priority: [enqueued(queue, priority=priority) for _ in range(2)] for priority in Priority}
    expected = [*tasks[Priority.HIGH], *tasks[Priority.NORMAL], *tasks[Priority.LOW]]

    answer = trip(queue, worker, claims=5)

    assert ids(answer.claimed) == entries(queue, queue.keys.processing(worker)) == expected[:5]
    assert {record(queue, task_id)["worker_id"] for task_id in expected[:5]} == {worker}
    assert status(queue, expected[5]) is Status.PENDING


def test_fewer_are_claimed_where_fewer_wait(queue: Queue) -> None:
    worker, waiting = joined(queue), [enqueued(queue), enqueued(queue)]

    assert ids(trip(queue, worker, claims=5).claimed) == waiting
    assert trip(queue, worker, claims=5).claimed == []


def test_a_bell_that_is_taken_rings_anew_while_a_low_task_waits(queue: Queue) -> None:
    worker = joined(queue)
    enqueued(queue, priority=Priority.LOW)
    normal = enqueued(queue)
    assert entries(queue, queue.keys.pending)[0] == BELL

    assert ids(trip(queue, worker, claims=1).claimed) == [normal]

    assert entries(queue, queue.keys.pending) == [BELL]
    assert entries(queue, queue.keys.processing(worker)) == [normal]


def test_a_bell_that_is_taken_is_gone_when_nothing_waits_elsewhere(queue: Queue) -> None:
    worker, normal = joined(queue), enqueued(queue)
    queue.link.redis.rpush(queue.keys.pending, BELL)

    assert ids(trip(queue, worker, claims=2).claimed) == [normal]

    assert entries(queue, queue.keys.pending) == []


def test_what_is_not_to_be_run_is_passed_over(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    worker = joined(queue)
    expired = enqueued(queue, expires_in_s=60)
    queue.link.redis.hset(queue.keys.task(expired), "expires_at", 1)
    deleted, wanted = enqueued(queue), [enqueued(queue) for _ in range(3)]
    queue.link.redis.delete(queue.keys.task(deleted))

    answer = trip(queue, worker, claims=3)

    assert ids(answer.claimed) == entries(queue, queue.keys.processing(worker)) == wanted
    assert status(queue, expired) is Status.FAILED
    assert [vars(line)["task_id"] for line in caplog.records if vars(line).get("event") == "task.expired"] == [expired]


def test_nothing_is_claimed_while_the_queue_is_paused(queue: Queue) -> None:
    worker = joined(queue)
    enqueued(queue)
    gate.pause(queue, "because")

    assert trip(queue, worker, claims=3).claimed == []


def test_one_that_is_stale_leaves_the_others_alone(queue: Queue) -> None:
    worker = joined(queue)
    queue.enqueue_many([new() for _ in range(5)])
    held = [claim(queue, worker), *trip(queue, worker, claims=3).claimed]
    queue.cancel(held[1].id)

    answer = trip(queue, worker, held[:3], claims=1)

    assert [verdict for _, verdict in answer.ended] == [Verdict.OK, Verdict.STALE, Verdict.OK]
    assert [done.attempt for done, _ in answer.ended] == held[:3]
    assert [status(queue, attempt.id) for attempt in held] == [
        Status.COMPLETED, Status.CANCELLED, Status.COMPLETED, Status.PROCESSING,
    ]  # fmt: skip
    assert sorted(members(queue, queue.keys.completed)) == sorted([held[0].id, held[2].id])
    assert entries(queue, queue.keys.processing(worker)) == [held[3].id, *ids(answer.claimed)]


def test_each_completion_is_counted_as_one_alone_would_be(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    queue.enqueue_many([*[new("one") for _ in range(3)], new("two")])
    held = trip(queue, worker, claims=4).claimed
    for at, attempt in enumerate(held):  # in Redis they have begun at different moments
        queue.link.redis.hincrby(queue.keys.task(attempt.id), "started_at", -1000 * at)

    trip(queue, worker, held)

    runs = stats.counted(inspector, queue.name).runs
    assert {key: one.count for key, one in runs.items()} == {("complete", "one"): 3, ("complete", "two"): 1}
    assert runs["complete", "one"].sum_s >= 3
    assert runs["complete", "two"].sum_s >= 3


def test_who_waits_for_one_of_them_is_woken(queue: Queue) -> None:
    worker = joined(queue)
    queue.enqueue_many([new(), new()])
    held = trip(queue, worker, claims=2).claimed
    queue.link.redis.hset(queue.keys.task(held[1].id), "awaited", 1)

    trip(queue, worker, held)

    assert queue.link.block_pop(queue.keys.wake(held[1].id), 1)
    assert not queue.link.redis.exists(queue.keys.wake(held[0].id))
