"""A pending task deep in a long list is withdrawn without a search: its entry stays, for nothing, and is not counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskq.errors import TaskNotFound
from taskq.queue import gate
from taskq.queue.alike import enqueue_alike
from taskq.queue.inspect import Inspector
from taskq.queue.keys import BELL
from taskq.queue.queue import Queue
from taskq.queue.standing import standing
from taskq.task import NewTask, Priority, Status
from tests.integration.steps import (
    claim,
    enqueued,
    entries,
    joined,
    moved,
    new,
    now_ms,
    reap,
    snapshot,
    started,
    status,
)

NEAR = 250
"""So far from the ends of a list a task is looked for; see lib/unlist.lua."""


def filled(queue: Queue, count: int = NEAR, priority: Priority = Priority.NORMAL) -> list[str]:
    """So many more tasks, the oldest first."""
    return list(enqueue_alike(queue, NewTask(id="", type="echo", priority=priority), [b"1"] * count)[0])


def expire(queue: Queue, task_id: str) -> None:
    queue.link.redis.zadd(queue.keys.expiring, {task_id: now_ms(queue) - 1000})
    queue.expire()


WITHDRAW: dict[str, Callable[[Queue, str], object]] = {
    "cancel": lambda queue, task_id: queue.cancel(task_id),
    "delete": lambda queue, task_id: queue.delete(task_id),
    "expire": expire,
}


def gone(queue: Queue) -> set[str]:
    client: Any = queue.link.redis
    return {task_id.decode() for key in queue.keys.gone for task_id in client.smembers(key)}


def pending(queue: Queue) -> int:
    return Inspector(queue.link, prefix=queue.keys.prefix).state(queue.name).counts[Status.PENDING]


def work_off(queue: Queue) -> list[str]:
    """Everything that can be claimed, in that order."""
    worker, order = joined(queue), []
    while (attempt := queue.claim(worker)) is not None:
        order.append(attempt.id)
        queue.complete(worker, attempt, b"null")
    return order


@pytest.fixture
def deep(queue: Queue) -> tuple[list[str], str, list[str]]:
    """A task that cannot be found from either end, and those before and behind it."""
    return filled(queue), enqueued(queue), filled(queue)


@pytest.mark.parametrize("verb", WITHDRAW)
def test_a_task_deep_in_its_list_is_withdrawn_and_never_starts(
    queue: Queue, deep: tuple[list[str], str, list[str]], verb: str
) -> None:
    before, task_id, behind = deep

    WITHDRAW[verb](queue, task_id)

    assert status(queue, task_id) == {"cancel": Status.CANCELLED, "delete": None, "expire": Status.FAILED}[verb]
    assert gone(queue) == {task_id}
    assert pending(queue) == 2 * NEAR
    assert work_off(queue) == before + behind
    assert gone(queue) == set()
    assert pending(queue) == 0


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("verb", WITHDRAW)
def test_no_call_searches_a_long_list(queue: Queue, verb: str, priority: Priority) -> None:
    filled(queue, 2 * NEAR, priority)
    ids = filled(queue, 20, priority)
    filled(queue, 2 * NEAR, priority)
    client: Any = queue.link.redis
    calls = client.info("commandstats").get("cmdstat_lrem", {}).get("calls", 0)

    for task_id in ids:
        WITHDRAW[verb](queue, task_id)

    assert client.info("commandstats").get("cmdstat_lrem", {}).get("calls", 0) == calls
    assert gone(queue) == set(ids)
    assert pending(queue) == 4 * NEAR


@pytest.mark.parametrize("at", [0, NEAR - 1, NEAR, 2 * NEAR - 1])
@pytest.mark.parametrize("verb", WITHDRAW)
def test_a_task_near_an_end_leaves_no_entry(queue: Queue, verb: str, at: int) -> None:
    ids = filled(queue, 2 * NEAR)

    WITHDRAW[verb](queue, ids[at])

    assert gone(queue) == set()
    assert sorted(entries(queue, queue.keys.pending)) == sorted({*ids} - {ids[at]})


@pytest.mark.parametrize("verb", ["cancel", "expire"])
def test_a_task_that_is_requeued_starts_once(queue: Queue, deep: tuple[list[str], str, list[str]], verb: str) -> None:
    before, task_id, behind = deep
    WITHDRAW[verb](queue, task_id)

    assert queue.requeue(task_id).final
    assert queue.requeue(task_id) is Status.PENDING

    assert gone(queue) == set()
    assert pending(queue) == 2 * NEAR + 1
    assert work_off(queue) == [*before, task_id, *behind]


def test_a_task_that_is_requeued_for_later_waits_until_then(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    before, task_id, behind = deep
    queue.cancel(task_id)
    queue.requeue(task_id, 600)
    assert (gone(queue), pending(queue)) == ({task_id}, 2 * NEAR)

    queue.link.redis.zadd(queue.keys.scheduled, {task_id: now_ms(queue) - 1})
    queue.promote()

    assert (gone(queue), pending(queue)) == (set(), 2 * NEAR + 1)
    assert work_off(queue) == [*before, task_id, *behind]


def test_a_scheduled_one_does_not_start_by_its_old_entry(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    before, task_id, behind = deep
    queue.cancel(task_id)
    queue.requeue(task_id, 600)

    assert work_off(queue) == before + behind
    queue.link.redis.zadd(queue.keys.scheduled, {task_id: now_ms(queue) - 1})
    queue.promote()

    assert work_off(queue) == [task_id]


def test_a_task_that_is_withdrawn_again_and_again_leaves_one_entry(
    queue: Queue, deep: tuple[list[str], str, list[str]]
) -> None:
    _, task_id, _ = deep
    for _ in range(3):
        queue.cancel(task_id)
        queue.requeue(task_id)
    queue.cancel(task_id)
    queue.delete(task_id)

    assert (gone(queue), pending(queue)) == ({task_id}, 2 * NEAR)
    assert entries(queue, queue.keys.pending).count(task_id) == 1


def test_what_a_worker_was_handed_is_not_taken_for_deep(queue: Queue) -> None:
    task_id = enqueued(queue)
    worker = joined(queue)
    assert moved(queue, worker) == task_id
    filled(queue, 3 * NEAR)

    queue.cancel(task_id)

    assert gone(queue) == set()
    assert entries(queue, queue.keys.processing(worker)) == []


@pytest.mark.parametrize("death", [False, True])
def test_an_entry_that_a_worker_is_handed_is_dropped(
    queue: Queue, deep: tuple[list[str], str, list[str]], death: bool
) -> None:
    _, task_id, behind = deep
    queue.cancel(task_id)
    worker = joined(queue)
    queue.link.redis.ltrim(queue.keys.pending, 0, NEAR)
    assert moved(queue, worker) == task_id

    if death:
        reap(queue, worker)
    else:
        assert claim(queue, worker).id == behind[0]

    assert gone(queue) == set()
    assert task_id not in entries(queue, queue.keys.processing(worker))
    assert status(queue, task_id) is Status.CANCELLED


@pytest.mark.parametrize("priority", Priority)
def test_entries_at_the_end_are_dropped_where_nobody_claims(queue: Queue, priority: Priority) -> None:
    first = filled(queue, NEAR, priority)
    ids = filled(queue, 1200, priority)
    behind = filled(queue, NEAR, priority)
    for task_id in ids:
        queue.cancel(task_id)
    for task_id in first:
        queue.delete(task_id)
    assert len(gone(queue)) > 1000

    queue.promote()
    queue.promote()

    assert gone(queue) == set()
    assert pending(queue) == NEAR
    key = {Priority.HIGH: queue.keys.high, Priority.NORMAL: queue.keys.pending, Priority.LOW: queue.keys.low}[priority]
    assert [entry for entry in entries(queue, key) if entry != BELL] == behind


def test_a_bell_among_them_stays(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    before, task_id, behind = deep
    queue.cancel(task_id)
    for other in before:
        queue.cancel(other)
    urgent = enqueued(queue, priority=Priority.HIGH)

    queue.promote()

    assert entries(queue, queue.keys.pending)[:2] == [BELL, behind[0]]
    worker = joined(queue)
    assert queue.link.block_move(queue.keys.pending, queue.keys.processing(worker), 1) == BELL.encode()
    assert claim(queue, worker).id == urgent


def test_live_entries_are_not_swept(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    queue.cancel(deep[1])
    found = snapshot(queue)

    queue.promote()

    assert snapshot(queue) == found


def test_a_purge_counts_those_that_waited(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    _, task_id, _ = deep
    queue.cancel(task_id)

    assert gate.purge(queue) == 2 * NEAR

    assert (gone(queue), pending(queue)) == (set(), 0)
    assert status(queue, task_id) is Status.CANCELLED


def test_a_pause_takes_them_along(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    before, task_id, behind = deep
    gate.pause(queue)
    queue.cancel(task_id)
    assert (gone(queue), pending(queue)) == ({task_id}, 2 * NEAR)

    gate.resume(queue)

    assert pending(queue) == 2 * NEAR
    assert work_off(queue) == before + behind


@pytest.mark.parametrize("priority", Priority)
def test_a_place_in_the_queue_does_not_count_them(queue: Queue, priority: Priority) -> None:
    first, ids, third = filled(queue, NEAR, priority), filled(queue, 5, priority), filled(queue, 1100, priority)
    last = new(priority=Priority.LOW)
    queue.enqueue(last)
    inspector = Inspector(queue.link, prefix=queue.keys.prefix)
    for task_id in ids:
        queue.cancel(task_id)

    def place(task_id: str) -> tuple[int | None, bool]:
        task = inspector.get(task_id)
        assert task is not None
        found = standing(inspector, task)
        return found.ahead, found.beyond

    worker = joined(queue)
    for task_id in first[: NEAR - 10]:
        attempt = claim(queue, worker)
        assert attempt.id == task_id
        queue.complete(worker, attempt, b"null")
    assert gone(queue) == set(ids)
    behind = inspector.state("default").counts[Status.PENDING] - 1

    assert place(first[-1]) == (9, False)
    assert place(third[0]) == (10, False)
    assert place(third[-1]) == (1109, True)
    assert place(last.id) == (behind, priority is Priority.LOW)


def test_the_oldest_that_waits_is_none_of_them(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    before, task_id, _ = deep
    queue.cancel(task_id)
    queue.link.redis.hset(queue.keys.task(task_id), "ready_at", 1)
    for other in before:
        queue.cancel(other)
    assert gone(queue) == {task_id}

    found = Inspector(queue.link, prefix=queue.keys.prefix).state("default").oldest_wait_s

    assert found is not None
    assert found < 600


def test_a_deleted_one_may_be_enqueued_again(queue: Queue, deep: tuple[list[str], str, list[str]]) -> None:
    _, task_id, _ = deep
    queue.delete(task_id)
    queue.enqueue(new(id=task_id))

    order = work_off(queue)

    assert order.count(task_id) == 1
    assert (gone(queue), pending(queue)) == (set(), 0)
    with pytest.raises(TaskNotFound):
        queue.cancel("00000000-0000-4000-8000-000000000000")


def test_what_runs_is_no_entry_of_a_list(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    filled(queue, 3 * NEAR)

    queue.cancel(attempt.id)

    assert gone(queue) == set()
