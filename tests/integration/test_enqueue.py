"""enqueue: a new task becomes pending or scheduled, once per id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from taskq.queue import gate
from taskq.queue.alike import Alike, moments
from taskq.queue.answers import Enqueued
from taskq.queue.bulk import enqueue_steps
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import NewTask, Priority, Status, Task
from tests.integration.steps import claim, enqueued, entries, joined, members, new, now_ms, record, score, snapshot, status


def test_an_enqueued_task_is_pending_and_known(queue: Queue) -> None:
    task = new()
    before = now_ms(queue)

    answer = queue.enqueue(task)

    assert before <= answer.created_at_ms <= now_ms(queue)
    assert answer.run_at_ms is None
    assert entries(queue, queue.keys.pending) == [task.id]
    assert score(queue, queue.keys.tasks, task.id) == answer.created_at_ms
    assert record(queue, task.id) == {
        "v": "1",
        "status": "pending",
        "priority": "normal",
        "type": "echo",
        "max_retry": "3",
        "created_at": str(answer.created_at_ms),
        "updated_at": str(answer.created_at_ms),
        "ready_at": str(answer.created_at_ms),
    }


def test_every_field_of_a_new_task_reads_back(queue: Queue, inspector: Inspector) -> None:
    task = new(
        "image.resize",
        payload='{"path": "ä.png"}'.encode(),
        priority=Priority.LOW,
        max_retry=0,
        delay_s=90.5,
        timeout_s=1.25,
        tags=("b", "a"),
    )

    answer = queue.enqueue(task)

    assert answer.run_at_ms == answer.created_at_ms + 90_500
    assert inspector.get(task.id) == Task(
        id=task.id,
        type="image.resize",
        queue="default",
        status=Status.SCHEDULED,
        priority=Priority.LOW,
        payload='{"path": "ä.png"}'.encode(),
        max_retry=0,
        created_at_ms=answer.created_at_ms,
        updated_at_ms=answer.created_at_ms,
        run_at_ms=answer.run_at_ms,
        timeout_s=1.25,
        tags=("b", "a"),
    )


def test_a_payload_is_kept_byte_for_byte(queue: Queue) -> None:
    payload = b'{"a" :\t1.0, "b": "\\u0000 \\ud83d\\ude00", "c": 12345678901234567890}'
    queue.enqueue(new(payload=payload))

    assert claim(queue, joined(queue)).payload == payload


def test_a_delayed_task_waits_among_the_scheduled_only(queue: Queue) -> None:
    task = new(delay_s=60)

    answer = queue.enqueue(task)

    assert status(queue, task.id) is Status.SCHEDULED
    assert score(queue, queue.keys.scheduled, task.id) == answer.created_at_ms + 60_000
    assert entries(queue, queue.keys.pending) == []


def test_a_task_due_at_a_moment_is_scheduled_for_exactly_that_moment(queue: Queue) -> None:
    due = now_ms(queue) + 3_600_123

    answer = queue.enqueue(task := new(run_at_ms=due))

    assert answer.run_at_ms == due
    assert score(queue, queue.keys.scheduled, task.id) == due


def test_a_task_due_in_the_past_is_pending_at_once(queue: Queue) -> None:
    answer = queue.enqueue(task := new(run_at_ms=1_000))

    assert answer.run_at_ms is None
    assert status(queue, task.id) is Status.PENDING


def test_tasks_of_one_priority_are_claimed_in_the_order_they_came(queue: Queue) -> None:
    ids = [enqueued(queue) for _ in range(5)]

    assert entries(queue, queue.keys.pending) == ids


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW])
def test_a_task_of_another_priority_waits_in_its_own_list_and_rings_one_bell(queue: Queue, priority: Priority) -> None:
    own = queue.keys.high if priority is Priority.HIGH else queue.keys.low

    ids = [enqueued(queue, priority=priority) for _ in range(3)]

    assert entries(queue, own) == ids
    assert entries(queue, queue.keys.pending) == ["!"]


def test_a_bell_is_claimed_before_the_normal_tasks_that_came_earlier(queue: Queue) -> None:
    normal = enqueued(queue)

    enqueued(queue, priority=Priority.HIGH)

    assert entries(queue, queue.keys.pending) == ["!", normal]


@pytest.mark.parametrize("fields", [{}, {"delay_s": 60}, {"priority": Priority.HIGH}])
def test_a_repeated_enqueue_answers_the_same_and_changes_nothing(queue: Queue, fields: dict[str, Any]) -> None:
    task = new(**fields)
    first = queue.enqueue(task)
    before = snapshot(queue)

    again = queue.enqueue(task)

    assert again == first
    assert snapshot(queue) == before


def test_an_enqueue_repeated_after_the_task_ran_changes_nothing(queue: Queue) -> None:
    task = new()
    first = queue.enqueue(task)
    worker = joined(queue)
    queue.complete(worker, claim(queue, worker), b"1")
    before = snapshot(queue)

    again = queue.enqueue(task)

    assert again == first
    assert snapshot(queue) == before


def test_a_thousand_tasks_are_stored_in_one_call_and_keep_their_order(queue: Queue) -> None:
    tasks = [new(f"type{i}") for i in range(1000)]

    answers = queue.enqueue_many(tasks)

    ids = [task.id for task in tasks]
    assert len(answers) == 1000
    assert entries(queue, queue.keys.pending) == ids
    assert sorted(members(queue, queue.keys.tasks)) == sorted(ids)
    assert record(queue, ids[999])["type"] == "type999"


def test_a_batch_may_mix_priorities_and_delays(queue: Queue) -> None:
    tasks = [new(priority=Priority.HIGH, tags=("a",)), new(delay_s=5), new(payload=b"1", timeout_s=2), new()]

    answers = queue.enqueue_many(tasks)

    assert [answer.run_at_ms is None for answer in answers] == [True, False, True, True]
    assert entries(queue, queue.keys.high) == [tasks[0].id]
    assert members(queue, queue.keys.scheduled) == [tasks[1].id]
    assert entries(queue, queue.keys.pending) == ["!", tasks[2].id, tasks[3].id]


def test_a_batch_repeated_with_one_more_task_adds_only_that_one(queue: Queue) -> None:
    tasks = [new() for _ in range(3)]
    queue.enqueue_many(tasks)

    queue.enqueue_many([*tasks, more := new()])

    assert entries(queue, queue.keys.pending) == [*(task.id for task in tasks), more.id]


@pytest.mark.parametrize("paused", [False, True], ids=["open", "paused"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"payload": b'{"a": 1}'},
        {"priority": Priority.HIGH, "payload": b"1"},
        {"priority": Priority.LOW, "expires_in_s": 1.5},
        {"delay_s": 60, "tags": ("a", "b"), "timeout_s": 2.5, "max_retry": 9, "payload": b'""'},
        {"run_at_ms": 4_000_000_000_000, "expires_in_s": 9e9, "payload": b"null"},
        {"run_at_ms": 1},
    ],
)
def test_tasks_that_are_alike_are_stored_as_each_would_be_by_itself(
    queue: Queue, link: Link, fields: dict[str, Any], paused: bool
) -> None:
    other = Queue(link, prefix=f"{queue.keys.prefix}-alike")
    ids, like = ["one", "two", "three"], new(**fields)
    for each in (queue, other) if paused else ():
        gate.pause(each)

    answers = queue.enqueue_many([replace(like, id=task_id) for task_id in ids])
    alike = Alike(other, like)
    alike.enqueue(ids[0], like.payload)
    answer = moments(alike.enqueue_many(ids[1:], [like.payload or b""] * 2)[0])

    assert (answer.run_at_ms is None) == (answers[0].run_at_ms is None)
    assert stored(other, ids, like) == stored(queue, ids, like)


def stored(queue: Queue, ids: Sequence[str], like: NewTask) -> dict[str, Any]:
    """The records, where the tasks stand and what is counted; moments that were reckoned from now without the now."""
    keys = queue.keys
    found: dict[str, Any] = {}
    for at, task_id in enumerate(ids):
        fields = record(queue, task_id)
        now = int(fields["created_at"])
        moments_of = {name: int(fields[name]) for name in fields if name.endswith("_at")}
        found[task_id] = fields | {name: ms if ms == like.run_at_ms else ms - now for name, ms in moments_of.items()}
        for name in ("tasks", "scheduled", "expiring"):
            ms = queue.link.redis.zscore(getattr(keys, name), task_id)
            found[f"{name} {at}"] = ms if ms in (None, like.run_at_ms) else ms - now
    for name in keys.waiting:
        found[name.partition("}")[2]] = entries(queue, name)
    return {**found, "stats": queue.link.redis.hgetall(keys.stats)}


def test_many_alike_repeated_after_some_of_them_are_gone_are_not_stored_again(queue: Queue) -> None:
    ids = ["a", "b", "c"]
    alike = Alike(queue, new())
    first = alike.enqueue_many(ids, [b"1"] * 3)
    queue.delete("a")
    before = snapshot(queue)

    again = alike.enqueue_many(ids, [b"1"] * 3)

    assert again == first
    assert snapshot(queue) == before


def test_the_first_enqueue_makes_the_queue_known(queue: Queue, inspector: Inspector) -> None:
    enqueued(queue)

    assert inspector.queue_names() == ["default"]


def test_an_enqueue_loads_the_script_that_the_server_has_forgotten(queue: Queue) -> None:
    enqueued(queue)
    queue.link.redis.script_flush()

    task_id = enqueued(queue)

    assert status(queue, task_id) is Status.PENDING


@pytest.mark.parametrize("steps", [["33", "45", "55"], ["45"], ["33", "", "45"], ["", "33"]])
def test_steps_are_stored_as_what_they_are_whatever_scripts_the_server_knows(
    queue: Queue, inspector: Inspector, steps: list[str]
) -> None:
    """A step of tasks that were taken for alike may hold different ones, or none."""
    made = [[new(max_retry=int(digit)) for digit in step] for step in steps]
    answers: list[list[Enqueued]] = []
    queue.link.redis.script_flush()

    enqueue_steps(queue, [partial(list, step) for step in made], answers, alike=True)

    assert [len(answered) for answered in answers] == [len(step) for step in made]
    found = [inspector.get(task.id) for step in made for task in step]
    assert [task and task.max_retry for task in found] == [int(digit) for digit in "".join(steps)]
