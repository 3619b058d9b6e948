"""reap: what a dead or silent worker held goes back, or fails at the crash limit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from taskq.errors import LeaseLost
from taskq.queue.answers import Reaped
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import BATCH, Queue
from taskq.queue.scripts import Script
from taskq.task import Attempt, ErrorDetail, Priority, Status
from tests.integration.steps import (
    DETAIL,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    lease_ms,
    members,
    moved,
    new,
    reap,
    record,
    score,
    snapshot,
    started,
    status,
    trip,
)

LISTS = {Priority.HIGH: "high", Priority.NORMAL: "pending", Priority.LOW: "low"}


def test_reap_returns_a_claim_whose_worker_died_before_start(queue: Queue) -> None:
    dead = joined(queue)
    task_id = enqueued(queue)
    moved(queue, dead)
    behind = enqueued(queue)

    found = reap(queue, dead)

    assert found == []
    assert entries(queue, queue.keys.pending) == [task_id, behind]
    attempt = claim(queue, joined(queue))
    assert (attempt.id, attempt.attempt, attempt.crashes) == (task_id, 1, 0)


@pytest.mark.parametrize("priority", Priority)
def test_reap_counts_one_crash_and_returns_a_started_task_to_the_head_of_its_list(queue: Queue, priority: Priority) -> None:
    dead = joined(queue)
    attempt = started(queue, dead, priority=priority)
    behind = enqueued(queue, priority=priority)

    found = reap(queue, dead)

    assert found == [Reaped(attempt.id, 1, Status.PENDING, 1, "echo")]
    own = getattr(queue.keys, LISTS[priority])
    assert [entry for entry in entries(queue, own) if entry != "!"] == [attempt.id, behind]
    stored = record(queue, attempt.id)
    assert (stored["status"], stored["crashes"], stored["error"]) == ("pending", "1", "boom")
    assert msgspec.json.decode(stored["error_detail"], type=ErrorDetail) == DETAIL
    assert "retries" not in stored


def test_a_task_that_kills_every_worker_fails_at_the_crash_limit(queue: Queue) -> None:
    task_id = enqueued(queue)
    found = []

    for _ in range(3):
        worker = joined(queue)
        claim(queue, worker)
        found += reap(queue, worker, max_crashes=3)

    assert [(task.status, task.crashes, task.attempt) for task in found] == [
        (Status.PENDING, 1, 1),
        (Status.PENDING, 2, 2),
        (Status.FAILED, 3, 3),
    ]
    stored = record(queue, task_id)
    assert stored["status"] == "failed"
    assert score(queue, queue.keys.failed, task_id) == int(stored["finished_at"])
    assert entries(queue, queue.keys.pending) == []


def test_reap_leaves_a_worker_with_a_lease_alone_unless_it_is_known_to_be_dead(queue: Queue) -> None:
    worker = joined(queue)
    started(queue, worker)
    before = snapshot(queue)

    assert reap(queue, worker, dead=False) == []
    assert snapshot(queue) == before


def test_reap_takes_from_a_worker_whose_lease_has_lapsed(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    lapse(queue, worker)

    assert [task.id for task in reap(queue, worker, dead=False)] == [attempt.id]


def test_reap_takes_from_a_worker_that_no_lease_is_known_of(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.link.redis.zrem(queue.keys.leases, worker)

    assert [task.id for task in reap(queue, worker, dead=False)] == [attempt.id]


def test_reap_of_a_dead_worker_ends_its_lease_so_that_it_claims_nothing_more(queue: Queue) -> None:
    worker = joined(queue)

    reap(queue, worker)

    assert lease_ms(queue, worker) <= 0
    enqueued(queue)
    with pytest.raises(LeaseLost):
        queue.claim(worker)


def test_reap_of_a_dead_worker_does_not_move_the_end_of_a_lapsed_lease(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=90_000)

    reap(queue, worker)

    assert lease_ms(queue, worker) <= -90_000


def test_reap_gives_no_lease_to_a_stranger(queue: Queue) -> None:
    assert reap(queue, "stranger") == []
    assert members(queue, queue.keys.leases) == []


def test_a_repeated_reap_changes_nothing_more(queue: Queue) -> None:
    worker = joined(queue)
    started(queue, worker)
    reap(queue, worker)
    before = snapshot(queue)

    assert reap(queue, worker) == []
    assert snapshot(queue) == before


def test_reap_takes_all_in_calls_of_a_bounded_number_of_entries(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = joined(queue)
    tasks = [new() for _ in range(2 * BATCH + 50)]
    queue.enqueue_many(tasks)
    for _ in tasks:
        queue.link.redis.lmove(queue.keys.pending, queue.keys.processing(worker), "RIGHT", "LEFT")

    taken: list[int] = []
    run = queue.link.script

    def noting(script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        reply = run(script, keys, args)
        taken.append(reply[0])
        return reply

    monkeypatch.setattr(queue.link, "script", noting)
    reap(queue, worker)

    assert taken == [BATCH, BATCH, 50]
    assert sorted(entries(queue, queue.keys.pending)) == sorted(task.id for task in tasks)


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_reap_drops_a_claim_whose_task_was_withdrawn(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    task_id = enqueued(queue)
    moved(queue, worker)
    getattr(queue, verb)(task_id)
    before = record(queue, task_id)

    reap(queue, worker)

    assert record(queue, task_id) == before
    assert entries(queue, queue.keys.pending) == []


def test_reap_drops_an_entry_that_another_worker_runs(queue: Queue) -> None:
    owner, dead = joined(queue, "owner"), joined(queue, "dead")
    attempt = started(queue, owner)
    queue.link.redis.lpush(queue.keys.processing(dead), attempt.id)
    before = record(queue, attempt.id)

    assert reap(queue, dead) == []
    assert record(queue, attempt.id) == before
    assert entries(queue, queue.keys.processing(owner)) == [attempt.id]


def test_an_unreadable_record_does_not_keep_reap_from_the_other_entries(queue: Queue) -> None:
    worker = joined(queue)
    bad, good = enqueued(queue), enqueued(queue)
    moved(queue, worker)
    moved(queue, worker)
    queue.link.redis.delete(queue.keys.task(bad))
    queue.link.redis.set(queue.keys.task(bad), "not a hash")

    reap(queue, worker)

    assert entries(queue, queue.keys.pending) == [good]


def test_a_crash_counter_that_is_no_number_does_not_keep_reap_from_the_other_entries(queue: Queue) -> None:
    worker = joined(queue)
    bad = started(queue, worker)
    good = enqueued(queue)
    moved(queue, worker)
    queue.link.redis.hset(queue.keys.task(bad.id), "crashes", "x")

    reap(queue, worker)

    assert good in entries(queue, queue.keys.pending)


def test_two_reapers_move_each_task_once(redis_url: str, prefix: str, queue: Queue) -> None:
    worker = joined(queue)
    tasks = [new() for _ in range(300)]
    queue.enqueue_many(tasks)
    for task in tasks:
        queue.link.redis.lmove(queue.keys.pending, queue.keys.processing(worker), "RIGHT", "LEFT")
        queue.link.redis.hset(queue.keys.task(task.id), mapping={"status": "processing", "worker_id": worker, "attempt": 1})
    found: list[Reaped] = []

    def reap_all() -> None:
        link = Link(redis_url)
        own = Queue(link, prefix=prefix)
        while some := reap(own, worker):
            found.extend(some)
        link.close()

    reapers = [threading.Thread(target=reap_all) for _ in range(2)]
    for reaper in reapers:
        reaper.start()
    for reaper in reapers:
        reaper.join()

    assert len({task.id for task in found}) == len(found) > 0
    assert sorted(entries(queue, queue.keys.pending)) == sorted(task.id for task in tasks)


def held(queue: Queue, worker: str, count: int) -> list[Attempt]:
    """What a worker holds that has claimed so many: it runs the first."""
    return [claim(queue, worker), *trip(queue, worker, claims=count - 1).claimed]


def test_only_what_a_dead_worker_ran_counts_a_crash(queue: Queue) -> None:
    worker = joined(queue)
    queue.enqueue_many([new() for _ in range(4)])
    attempts = held(queue, worker, 3)

    found = reap(queue, worker)

    assert [(task.id, task.crashes) for task in found] == [(attempts[0].id, 1)]
    assert [record(queue, attempt.id).get("crashes", "0") for attempt in attempts] == ["1", "0", "0"]
    assert entries(queue, queue.keys.pending)[:3] == [attempt.id for attempt in attempts], "the order has changed"


@pytest.mark.parametrize("ran", [0, 1, 2])
def test_the_task_that_a_dead_worker_was_seen_to_run_counts_the_crash(queue: Queue, ran: int) -> None:
    """It need not be the oldest: results of those before it may have been lost with the server."""
    worker = joined(queue)
    queue.enqueue_many([new() for _ in range(4)])
    attempts = held(queue, worker, 3)

    found = queue.reap(worker, dead=True, max_crashes=3, error="boom", detail=DETAIL, blame=attempts[ran].id)

    assert [(task.id, task.crashes) for task in found] == [(attempts[ran].id, 1)]
    assert entries(queue, queue.keys.pending)[:3] == [attempt.id for attempt in attempts], "the order has changed"


def test_nothing_counts_a_crash_where_what_the_worker_ran_has_ended(queue: Queue) -> None:
    worker = joined(queue)
    queue.enqueue_many([new() for _ in range(3)])
    first, *others = held(queue, worker, 3)
    queue.complete(worker, first, b"1")

    assert queue.reap(worker, dead=True, max_crashes=1, error="boom", detail=DETAIL, blame=first.id) == []
    assert entries(queue, queue.keys.pending)[:2] == [attempt.id for attempt in others]


def test_nothing_counts_a_crash_where_what_the_worker_ran_was_settled_apart(queue: Queue) -> None:
    worker = joined(queue)
    queue.enqueue_many([new() for _ in range(3)])
    first, *others = held(queue, worker, 3)
    queue.retry(worker, first, 60, "timed out", DETAIL)

    found = queue.reap(worker, dead=True, max_crashes=1, error="timed out", detail=DETAIL, blame="")

    assert found == []
    assert entries(queue, queue.keys.pending)[:2] == [attempt.id for attempt in others]


def test_a_reap_and_a_settle_leave_one_final_state(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")

    assert reap(queue, worker) == []
    assert status(queue, attempt.id) is Status.COMPLETED


def test_a_lease_that_ends_before_its_worker_is_counted_once(queue: Queue, inspector: Inspector) -> None:
    silent, dead, lapsed_and_dead = joined(queue), joined(queue), joined(queue)
    for worker in (silent, lapsed_and_dead):
        lapse(queue, worker)
    for _ in range(2):
        reap(queue, dead, dead=True)
        for worker in (dead, silent, lapsed_and_dead):
            reap(queue, worker, dead=False)
        reap(queue, lapsed_and_dead, dead=True)

    assert inspector.state(queue.name).leases_lost == 2
    for worker in (silent, dead, lapsed_and_dead):
        queue.leave(worker)
    assert queue.link.redis.exists(queue.keys.stops) == 0
