"""The read side: one task, the state of a queue, its workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from taskq.errors import QueueRefused
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Priority, Status
from tests.integration.steps import DETAIL, claim, enqueued, joined, lapse, moved, new, now_ms, snapshot, started


@pytest.fixture
def elsewhere(link: Link, prefix: str) -> Queue:
    return Queue(link, prefix=prefix, name="elsewhere")


def test_a_task_is_found_in_whichever_queue_it_is(queue: Queue, elsewhere: Queue, inspector: Inspector) -> None:
    enqueued(queue)
    task_id = enqueued(elsewhere)

    task = inspector.get(task_id)

    assert task is not None
    assert (task.id, task.queue) == (task_id, "elsewhere")
    assert inspector.locate(task_id) == "elsewhere"


def test_an_unknown_task_is_nowhere(queue: Queue, inspector: Inspector) -> None:
    enqueued(queue)

    assert inspector.get("no-such-task") is None
    assert inspector.locate("no-such-task") is None


def test_nothing_is_known_before_the_first_task(inspector: Inspector) -> None:
    assert inspector.queue_names() == []
    assert inspector.get("no-such-task") is None
    assert inspector.page(limit=10).tasks == []


@pytest.mark.parametrize("spoil", [{"v": "2"}, {"v": "x"}, {"status": "asleep"}, {"created_at": "x"}, {"error_detail": "{"}])
def test_an_unreadable_record_is_no_task(queue: Queue, inspector: Inspector, spoil: dict[Any, Any]) -> None:
    task_id = enqueued(queue)
    queue.link.redis.hset(queue.keys.task(task_id), mapping=spoil)

    assert inspector.get(task_id) is None


def test_a_key_of_another_type_is_no_task(queue: Queue, inspector: Inspector) -> None:
    enqueued(queue)
    queue.link.redis.set(queue.keys.task("odd"), "not a hash")

    assert inspector.get("odd") is None


def test_a_task_that_failed_shows_what_happened(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.fail(worker, attempt, "boom", DETAIL)

    task = inspector.get(attempt.id)

    assert task is not None
    assert (task.status, task.attempt, task.worker_id, task.error) == (Status.FAILED, 1, worker, "boom")
    assert task.error_detail == {"kind": "exception", "type": "ValueError", "message": "boom"}
    assert task.started_at_ms is not None
    assert task.finished_at_ms is not None
    assert task.created_at_ms <= task.started_at_ms <= task.finished_at_ms


def test_the_state_counts_every_status(queue: Queue, inspector: Inspector) -> None:
    worker, busy = joined(queue), joined(queue, "busy")
    for verb, count in (("complete", 3), ("fail", 2)):
        for _ in range(count):
            attempt = started(queue, worker)
            queue.complete(worker, attempt, b"1") if verb == "complete" else queue.fail(worker, attempt, "boom", DETAIL)
    queue.cancel(enqueued(queue))
    started(queue, busy)
    for _ in range(4):
        enqueued(queue, delay_s=60)
    for priority, count in ((Priority.NORMAL, 3), (Priority.HIGH, 2), (Priority.LOW, 1)):
        for _ in range(count):
            enqueued(queue, priority=priority)

    state = inspector.state("default")

    assert state.counts == {
        Status.PENDING: 6,
        Status.SCHEDULED: 4,
        Status.PROCESSING: 1,
        Status.COMPLETED: 3,
        Status.FAILED: 2,
        Status.CANCELLED: 1,
    }
    assert state.workers == 2


def test_a_bell_counts_for_no_task(queue: Queue, inspector: Inspector) -> None:
    enqueued(queue, priority=Priority.HIGH)
    claim(queue, joined(queue))

    state = inspector.state("default")

    assert state.counts[Status.PENDING] == 0
    assert state.oldest_wait_s is None


def test_refused_writes_are_counted(queue: Queue, inspector: Inspector) -> None:
    assert inspector.state("default").stale_writes == 0

    queue.reports.count_stale()
    queue.reports.count_stale()

    assert inspector.state("default").stale_writes == 2


def test_a_count_that_cannot_be_made_is_let_go(prefix: str) -> None:
    Queue(Link("unix:///nowhere"), prefix=prefix).reports.count_stale()


def test_the_state_of_an_unknown_queue_is_all_zero(inspector: Inspector) -> None:
    state = inspector.state("no-such-queue")

    assert set(state.counts.values()) == {0}
    assert (state.oldest_wait_s, state.workers) == (None, 0)


@pytest.mark.parametrize("priority", Priority)
def test_the_oldest_wait_is_that_of_the_task_that_waits_the_longest(
    queue: Queue, inspector: Inspector, priority: Priority
) -> None:
    waits_long = enqueued(queue, priority=priority)
    for other in Priority:
        enqueued(queue, priority=other)
    queue.link.redis.hset(queue.keys.task(waits_long), "ready_at", now_ms(queue) - 90_000)

    wait_s = inspector.state("default").oldest_wait_s

    assert wait_s is not None
    assert 90 <= wait_s < 95


def test_looking_changes_nothing(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    started(queue, worker)
    enqueued(queue, priority=Priority.LOW)
    before = snapshot(queue)

    inspector.state("default")
    inspector.page(limit=5)
    inspector.workers("default")
    inspector.worker_infos("default")
    inspector.ping()

    assert snapshot(queue) == before


def test_a_worker_shows_where_it_runs_and_what_it_holds(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)

    (found,) = inspector.workers("default")

    assert (found.id, found.queue, found.info, found.task_ids) == (worker, "default", {"host": "here"}, [attempt.id])
    assert 55 < found.lease_s <= 60


def test_a_worker_that_holds_only_a_bell_holds_nothing(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    enqueued(queue, priority=Priority.HIGH)
    assert moved(queue, worker) == "!"

    (found,) = inspector.workers("default")

    assert found.task_ids == []


def test_a_worker_whose_lease_has_ended_is_not_shown_but_its_whereabouts_are_known(
    queue: Queue, inspector: Inspector
) -> None:
    worker = joined(queue)
    lapse(queue, worker)

    assert inspector.workers("default") == []
    assert list(inspector.worker_infos("default")) == [worker]


def test_the_names_of_queues_are_in_order(queue: Queue, elsewhere: Queue, inspector: Inspector) -> None:
    for known in (queue, elsewhere):
        known.enqueue(new())

    assert inspector.queue_names() == ["default", "elsewhere"]


@pytest.mark.parametrize("name", ["pending", "high", "scheduled", "failed", "leases", "workers"])
def test_a_key_of_the_wrong_type_is_reported_as_refused(queue: Queue, inspector: Inspector, name: str) -> None:
    key = getattr(queue.keys, name)
    queue.link.redis.set(key, "of no use")

    with pytest.raises(QueueRefused, match="WRONGTYPE"):
        inspector.state("default")


@pytest.fixture
def restricted(queue: Queue, redis_url: str, prefix: str) -> Iterator[Inspector]:
    """An inspector whose user may list queues and read no record."""
    client: Any = queue.link.redis
    client.execute_command("ACL", "SETUSER", prefix, "on", ">secret", "~*", "+@all", "-hgetall", "-exists")
    link = Link(redis_url.replace("unix://", f"unix://{prefix}:secret@"))
    yield Inspector(link, prefix=prefix)
    link.close()
    client.execute_command("ACL", "DELUSER", prefix)


def test_a_task_that_may_not_be_read_is_not_said_to_be_missing(queue: Queue, restricted: Inspector) -> None:
    task_id = enqueued(queue)

    with pytest.raises(QueueRefused, match="hgetall"):
        restricted.get(task_id)


def test_a_task_that_may_not_be_looked_for_is_not_said_to_be_missing(queue: Queue, restricted: Inspector) -> None:
    task_id = enqueued(queue)

    with pytest.raises(QueueRefused, match="exists"):
        restricted.locate(task_id)


def test_a_task_is_found_whatever_queue_the_last_one_was_in(queue: Queue, elsewhere: Queue, inspector: Inspector) -> None:
    ids = {name: enqueued(own) for name, own in (("default", queue), ("elsewhere", elsewhere))}

    found = [inspector.get(ids[name]) for name in ("default", "elsewhere", "elsewhere", "default")]

    assert [task and task.queue for task in found] == ["default", "elsewhere", "elsewhere", "default"]


def test_what_stands_in_the_place_of_a_task_and_is_no_hash_is_no_task(queue: Queue, inspector: Inspector) -> None:
    task_id = enqueued(queue)
    queue.link.redis.set(queue.keys.task("other"), "garbage")

    assert inspector.get(task_id) is not None  # from now on this queue is looked into first
    assert inspector.get("other") is None
    assert inspector.get("other", queue="default") is None


def test_workers_that_are_left_out_are_not_read(queue: Queue, inspector: Inspector) -> None:
    one, two = joined(queue, "one"), joined(queue, "two")
    queue.link.redis.hset(queue.keys.workers, two, "no JSON at all")

    assert list(inspector.worker_infos(queue.name, but=[two])) == [one]
