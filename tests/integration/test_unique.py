"""Unique keys: of the tasks of a queue that bear one key, at most one has not ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskq.errors import UniqueKeyTaken
from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Status
from tests.integration.steps import DETAIL, SETTLES, claim, enqueued, entries, joined, new, reap, snapshot, started, status

KEY = "report-2026"


def holder(queue: Queue) -> str:
    """A pending task that holds the key."""
    return enqueued(queue, unique_key=KEY)


def refused(queue: Queue) -> str:
    """The id of the task that stands in the way of another one with the key."""
    before = snapshot(queue)
    with pytest.raises(UniqueKeyTaken) as error:
        queue.enqueue(new(unique_key=KEY))
    assert snapshot(queue) == before
    return error.value.holder


def free(queue: Queue) -> bool:
    """Whether another task with the key is taken; it is, if so."""
    return status(queue, holder(queue)) is Status.PENDING


def pointers(queue: Queue) -> list[str]:
    return [key for key in snapshot(queue) if key.startswith(queue.keys.unique_prefix)]


def test_a_second_task_with_the_key_is_refused_with_the_id_of_the_first(queue: Queue, inspector: Inspector) -> None:
    first = holder(queue)

    with pytest.raises(UniqueKeyTaken, match=f"the unique key '{KEY}' is held by task {first} until that has ended"):
        queue.enqueue(new(unique_key=KEY))

    task = inspector.get(first)
    assert task is not None
    assert task.unique_key == KEY
    assert refused(queue) == first


def test_another_key_and_another_queue_are_free(queue: Queue, inspector: Inspector) -> None:
    holder(queue)

    assert enqueued(queue, unique_key="other")
    assert enqueued(inspector.queue("mail"), unique_key=KEY)


def test_the_key_is_held_while_the_task_waits_runs_and_waits_for_a_retry(queue: Queue) -> None:
    worker = joined(queue)
    first = enqueued(queue, unique_key=KEY, delay_s=0.001)
    assert refused(queue) == first
    while not queue.promote()[0]:
        pass
    assert refused(queue) == first
    attempt = claim(queue, worker)
    assert refused(queue) == first
    queue.retry(worker, attempt, 60, "boom", DETAIL)
    assert refused(queue) == first


@pytest.mark.parametrize("verb", ["release", "reap"])
def test_the_key_is_held_by_a_task_that_goes_back_to_its_queue(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, unique_key=KEY)

    if verb == "reap":
        reap(queue, worker)
    else:
        SETTLES[verb](queue, worker, attempt)

    assert refused(queue) == attempt.id


def complete(queue: Queue) -> None:
    worker = joined(queue)
    queue.complete(worker, started(queue, worker, unique_key=KEY), b"1")


def fail(queue: Queue) -> None:
    worker = joined(queue)
    queue.fail(worker, started(queue, worker, unique_key=KEY), "boom", DETAIL)


def crash(queue: Queue) -> None:
    worker = joined(queue)
    started(queue, worker, unique_key=KEY)
    reap(queue, worker, max_crashes=1)


def expire(queue: Queue) -> None:
    task_id = enqueued(queue, unique_key=KEY, expires_in_s=600)
    queue.link.redis.zadd(queue.keys.expiring, {task_id: 1})
    queue.expire()


def cancel(queue: Queue) -> None:
    queue.cancel(holder(queue))


def cancel_running(queue: Queue) -> None:
    queue.cancel(started(queue, joined(queue), unique_key=KEY).id)


def delete(queue: Queue) -> None:
    queue.delete(holder(queue))


def purge(queue: Queue) -> None:
    holder(queue)
    gate.purge(queue)


ENDINGS = [complete, fail, crash, expire, cancel, cancel_running, delete, purge]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_the_key_is_free_once_its_task_has_ended(queue: Queue, end: Callable[[Queue], None]) -> None:
    end(queue)

    assert free(queue)


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_nothing_of_the_key_is_left_when_its_task_is_gone(queue: Queue, end: Callable[[Queue], None]) -> None:
    end(queue)

    for ended in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
        queue.trim(ended, 0)

    assert pointers(queue) == []


@pytest.mark.parametrize("verb", ["trim", "delete"])
def test_the_end_of_an_older_task_does_not_free_the_key_of_a_newer_one(queue: Queue, verb: str) -> None:
    first = holder(queue)
    queue.cancel(first)
    second = holder(queue)

    if verb == "trim":
        queue.trim(Status.CANCELLED, 0)
    else:
        queue.delete(first)

    assert refused(queue) == second


def test_a_repeated_enqueue_is_not_in_its_own_way(queue: Queue) -> None:
    task = new(unique_key=KEY)
    first = queue.enqueue(task)
    before = snapshot(queue)

    assert queue.enqueue(task) == first
    assert snapshot(queue) == before


def test_a_requeue_takes_the_key_again(queue: Queue) -> None:
    first = holder(queue)
    queue.cancel(first)

    queue.requeue(first)

    assert refused(queue) == first


def test_a_requeue_is_refused_while_another_task_holds_the_key(queue: Queue) -> None:
    first = holder(queue)
    queue.cancel(first)
    second = holder(queue)
    before = snapshot(queue)

    with pytest.raises(UniqueKeyTaken) as error:
        queue.requeue(first)

    assert error.value.holder == second
    assert snapshot(queue) == before


def test_a_requeue_takes_the_key_back_from_a_task_that_has_ended(queue: Queue) -> None:
    first = holder(queue)
    queue.cancel(first)
    queue.cancel(holder(queue))

    queue.requeue(first)

    assert refused(queue) == first


def test_a_repeated_requeue_is_not_in_its_own_way(queue: Queue) -> None:
    first = holder(queue)
    queue.cancel(first)
    queue.requeue(first)

    assert queue.requeue(first) is Status.PENDING
    assert entries(queue, queue.keys.pending) == [first]


@pytest.mark.parametrize("garbage", ["gone", "of another type"])
def test_a_key_that_points_at_nothing_is_free(queue: Queue, garbage: str) -> None:
    queue.link.redis.set(queue.keys.unique_prefix + KEY, "nobody")
    if garbage == "of another type":
        queue.link.redis.set(queue.keys.task("nobody"), "not a hash")

    assert free(queue)


def test_of_several_tasks_in_one_call_the_first_gets_the_key(queue: Queue) -> None:
    tasks = [new(), new(unique_key=KEY), new(unique_key=KEY), new()]

    answers = queue.enqueue_many(tasks)

    assert [answer.stored for answer in answers] == [True, True, False, True]
    assert answers[2].holder == tasks[1].id
    assert entries(queue, queue.keys.pending) == [tasks[0].id, tasks[1].id, tasks[3].id]


def test_a_whole_call_stores_nothing_if_one_key_is_taken(queue: Queue) -> None:
    first = holder(queue)
    before = snapshot(queue)

    answers = queue.enqueue_many([new(), new(unique_key=KEY), new(unique_key="other")], whole=True)

    assert [(answer.stored, answer.holder) for answer in answers] == [(False, None), (False, first), (False, None)]
    assert snapshot(queue) == before


def test_a_whole_call_with_free_keys_stores_everything_once(queue: Queue) -> None:
    tasks = [new(), new(unique_key=KEY), new(unique_key="other")]
    first = queue.enqueue_many(tasks, whole=True)
    before = snapshot(queue)

    again = queue.enqueue_many(tasks, whole=True)

    assert again == first
    assert all(answer.stored for answer in first)
    assert snapshot(queue) == before
