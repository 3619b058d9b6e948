"""Submitting from Python: what lands in Redis, what comes back, in threads and after forks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from taskq import (
    InvalidOptions,
    InvalidPayload,
    Queue,
    QueueUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    UniqueKeyTaken,
    WaitTimeout,
    task,
)
from taskq.client.default import default, set_default
from taskq.client.place import Place
from taskq.queue import queue as verbs
from taskq.queue.alike import STEP
from taskq.task import Priority, Status
from tests.integration.servers import own_server
from tests.integration.steps import DETAIL, claim, entries, joined, members, record, until


class Point(Struct):
    x: int


@task("client.move", max_retry=7)
def move(point: Point) -> Point:
    return point


@pytest.fixture
def producer(redis_url: str, prefix: str) -> Iterator[Queue]:
    producer = Queue(Place(url=redis_url, prefix=prefix))
    set_default(lambda: producer)
    yield producer
    set_default(None)
    producer.close()


def worked_off(queue: verbs.Queue, count: int = 1, result: bytes = b'"done"') -> None:
    """Let a worker complete so many tasks, as soon as they are there."""
    worker = joined(queue)
    for _ in range(count):
        until(lambda: queue.link.redis.llen(queue.keys.pending), "there is a task")
        queue.complete(worker, claim(queue, worker), result)


# -- submitting


def test_every_option_of_a_post_reaches_the_record(producer: Queue, link: Any, prefix: str) -> None:
    receipt = producer.enqueue(
        "some.type", {"a": [1, "ä"]}, queue="slow", priority="low", delay="1m", max_retry=9, timeout=1.5, tags=["x", "y"]
    )

    stored = record(verbs.Queue(link, prefix=prefix, name="slow"), receipt.id)
    assert stored["payload"] == '{"a":[1,"ä"]}'
    assert {name: stored[name] for name in ("type", "status", "priority", "max_retry", "timeout_ms", "tags")} == {
        "type": "some.type",
        "status": "scheduled",
        "priority": "low",
        "max_retry": "9",
        "timeout_ms": "1500",
        "tags": "x,y",
    }
    assert (receipt.type, receipt.queue) == ("some.type", "slow")
    assert receipt.run_at_ms == receipt.created_at_ms + 60_000 == int(stored["run_at"])


def test_what_is_not_said_has_the_default_of_the_type_then_of_the_place(
    redis_url: str, prefix: str, queue: verbs.Queue
) -> None:
    with Queue(Place(url=redis_url, prefix=prefix, max_retry=2)) as producer:
        plain, typed = producer.enqueue("some.type"), producer.enqueue("client.move", {"x": 1})

    assert record(queue, plain.id)["max_retry"] == "2"
    assert "payload" not in record(queue, plain.id)
    assert record(queue, typed.id)["max_retry"] == "7"
    assert plain.run_at_ms is None


def test_a_queue_of_ones_own_is_the_default_of_each_call(redis_url: str, prefix: str) -> None:
    with Queue(Place(url=redis_url, prefix=prefix), queue="mine") as producer:
        assert producer.enqueue("a").queue == "mine"
        assert producer.enqueue("a", queue="other").queue == "other"
        assert producer.inspector.queue_names() == ["mine", "other"]


def test_what_is_refused_is_not_stored(producer: Queue, queue: verbs.Queue) -> None:
    with pytest.raises(InvalidPayload, match="at /x"):
        producer.enqueue("client.move", {"x": "1"})
    with pytest.raises(InvalidPayload, match="at /1/x"):
        producer.enqueue_many("client.move", [{"x": 1}, {"x": "1"}])
    with pytest.raises(InvalidOptions, match="type: expected 1 to 128"):
        producer.enqueue("a b")
    with pytest.raises(InvalidOptions, match="priority"):
        producer.enqueue("a", priority="urgent")

    assert entries(queue, queue.keys.pending) == []


def test_a_handler_submits_to_the_default_queue(producer: Queue, queue: verbs.Queue) -> None:
    first = move.enqueue(Point(1), _priority="high")
    second, third = move.enqueue_many([Point(2), Point(3)])

    assert default() is producer
    assert [record(queue, receipt.id)["payload"] for receipt in (first, second, third)] == ['{"x":1}', '{"x":2}', '{"x":3}']
    assert entries(queue, queue.keys.high) == [first.id]
    assert record(queue, first.id)["max_retry"] == "7"


@pytest.mark.parametrize("count", [0, 1, STEP, 2 * STEP + 500])
def test_many_are_stored_in_order(producer: Queue, queue: verbs.Queue, count: int) -> None:
    receipts = producer.enqueue_many("some.type", range(count), tags=["bulk"])

    assert entries(queue, queue.keys.pending) == [receipt.id for receipt in receipts]
    assert len(members(queue, queue.keys.tasks)) == count
    assert [record(queue, receipt.id)["payload"] for receipt in receipts] == [str(i) for i in range(count)]
    assert all(record(queue, receipt.id)["tags"] == "bulk" for receipt in receipts[:3])


def test_many_may_be_delayed(producer: Queue, queue: verbs.Queue) -> None:
    receipts = producer.enqueue_many("some.type", "abc", delay=60, priority="low")

    assert {receipt.run_at_ms for receipt in receipts} == {receipts[0].created_at_ms + 60_000}
    assert sorted(members(queue, queue.keys.scheduled)) == sorted(receipt.id for receipt in receipts)


def test_a_unique_key_is_held_until_its_task_has_ended(producer: Queue, queue: verbs.Queue) -> None:
    first = producer.enqueue("some.type", unique_key="k")
    with pytest.raises(UniqueKeyTaken, match=f"held by task {first.id}") as taken:
        producer.enqueue("some.type", unique_key="k")
    assert taken.value.holder == first.id

    worked_off(queue)

    assert producer.enqueue("some.type", unique_key="k", expires_in="1h").task().unique_key == "k"


def test_a_repeat_with_the_same_key_gets_the_first_task(producer: Queue, queue: verbs.Queue) -> None:
    first = move.enqueue(Point(1), _idempotency_key="order 17")
    worked_off(queue)

    again = move.enqueue(Point(1), _idempotency_key="order 17")

    assert (again.id, again.created_at_ms) == (first.id, first.created_at_ms)
    assert entries(queue, queue.keys.pending) == []
    with pytest.raises(InvalidOptions, match="idempotency_key: expected one of its own; this one was used for another"):
        move.enqueue(Point(2), _idempotency_key="order 17")


# -- results


def test_wait_returns_the_result_as_soon_as_there_is_one(producer: Queue, queue: verbs.Queue) -> None:
    receipt = move.enqueue(Point(1))
    with ThreadPoolExecutor() as pool:
        future = pool.submit(receipt.wait, 10)
        began = time.monotonic()
        worked_off(queue, result=b'{"x":5}')

        assert future.result(5) == Point(5)
    assert time.monotonic() - began < 3
    assert receipt.wait() == Point(5)
    assert producer.wait(receipt.id, "1s") == {"x": 5}


def test_wait_raises_what_became_of_a_task_without_a_result(producer: Queue, queue: verbs.Queue) -> None:
    worker = joined(queue)
    failing = producer.enqueue("some.type")
    queue.fail(worker, claim(queue, worker), "boom", DETAIL)
    cancelled, waiting = producer.enqueue("some.type"), producer.enqueue("some.type")

    with pytest.raises(TaskFailed, match=rf"task {failing.id} \(some.type\) failed: boom") as failed:
        failing.wait(1)
    assert failed.value.task.error_detail == {"kind": "exception", "type": "ValueError", "message": "boom"}

    assert cancelled.cancel("not needed") is Status.PENDING
    with pytest.raises(TaskCancelled, match=r"\(some.type\) was cancelled: not needed"):
        cancelled.wait(1)
    with pytest.raises(WaitTimeout, match=r"has not ended within 0\.05 s") as late:
        waiting.wait("50ms")
    assert isinstance(late.value, TimeoutError)


def test_a_task_that_does_not_exist_is_not_found(producer: Queue) -> None:
    nowhere = "11111111-2222-4333-8444-555555555555"
    for call in (producer.get, producer.wait, producer.cancel):
        with pytest.raises(TaskNotFound):
            call(nowhere)

    receipt = producer.enqueue("some.type")
    producer.store("default").delete(receipt.id)
    with pytest.raises(TaskNotFound):
        receipt.wait(1)
    with pytest.raises(TaskNotFound):
        receipt.task()


def test_a_receipt_shows_its_task(producer: Queue) -> None:
    receipt = producer.enqueue("some.type", [1], priority="high")

    shown = receipt.task()

    assert (shown.id, shown.status, shown.priority, shown.payload) == (receipt.id, Status.PENDING, Priority.HIGH, b"[1]")
    assert shown.created_at_ms == receipt.created_at_ms
    assert repr(receipt) == f"Receipt(id={receipt.id!r}, type='some.type', queue='default')"


# -- threads, forks, outages


def test_threads_may_share_a_queue(producer: Queue, queue: verbs.Queue) -> None:
    def submit(name: int) -> list[str]:
        return [producer.enqueue("some.type", [name, i]).id for i in range(100)]

    with ThreadPoolExecutor(8) as pool:
        ids = [task_id for found in pool.map(submit, range(8)) for task_id in found]

    assert sorted(entries(queue, queue.keys.pending)) == sorted(ids)
    assert len(set(ids)) == 800


def test_threads_wait_side_by_side(producer: Queue, queue: verbs.Queue) -> None:
    receipts = producer.enqueue_many("some.type", range(6))
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(receipt.wait, 10) for receipt in receipts]
        worked_off(queue, len(receipts))

        assert [future.result(5) for future in futures] == ["done"] * 6


def test_parent_and_children_submit_at_the_same_time(producer: Queue, queue: verbs.Queue) -> None:
    producer.enqueue("some.type", "before")
    children = []
    for name in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for i in range(100):
                    producer.enqueue("some.type", [name, i])
                producer.enqueue_many("some.type", range(100))
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(pid)
    for i in range(100):
        producer.enqueue("some.type", ["parent", i])

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    ids = entries(queue, queue.keys.pending)
    assert len(ids) == len(set(ids)) == 1 + 3 * 200 + 100


def test_many_results_are_waited_for_over_a_restart_by_threads_and_by_a_child() -> None:
    with own_server() as server, Queue(server.url, patience_s=30) as producer:
        receipts, store = producer.enqueue_many("some.type", range(400)), producer.store("default")
        pid = os.fork()
        if pid == 0:
            os._exit(0 if [receipt.wait(60) for receipt in receipts[::4]] == ["done"] * 100 else 1)
        with ThreadPoolExecutor(16) as pool:
            futures = [pool.submit(receipt.wait, 60) for receipt in receipts]
            worked_off(store, 150)
            with closing(server.client()) as client:
                client.save()
                server.kill()
                server.start()
                client.config_resetstat()
                worked_off(store, 250)
                results = [future.result(60) for future in futures]
                child = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                blocks = client.info("commandstats").get("cmdstat_blpop", {"calls": 0})["calls"]

        assert (results, child) == (["done"] * 400, 0)
        assert blocks <= 400  # each of those who waited blocked once: nobody asks again and again


def test_a_thread_that_waits_does_not_keep_others_from_submitting(producer: Queue) -> None:
    receipt = producer.enqueue("some.type")
    with ThreadPoolExecutor() as pool:
        future = pool.submit(receipt.wait, 1)
        began = time.monotonic()
        producer.enqueue("some.type")

        assert time.monotonic() - began < 0.5
        with pytest.raises(WaitTimeout):
            future.result()


def test_without_a_server_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("TASKQ_", "REDIS_", "SERVER_", "WORKER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with Queue.from_config() as producer:
        producer.inspector.link._patience_s = 0
        with pytest.raises(QueueUnavailable) as away:
            producer.enqueue("some.type")

    assert f"start the service that keeps its data in {tmp_path}/.taskq (taskq run)" in str(away.value)
    assert "or name a Redis in redis.url or REDIS_ADDR" in str(away.value)


def test_the_configuration_names_the_queue(
    redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: verbs.Queue
) -> None:
    monkeypatch.delenv("TASKQ_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "taskq.yaml"
    file.write_text(f"redis: {{url: '{redis_url}', prefix: {prefix}}}\ntasks: {{defaults: {{max_retry: 4}}}}\n")
    with Queue.from_config(file) as by_path:
        first = by_path.enqueue("some.type")
    monkeypatch.setenv("TASKQ_CONFIG", str(file))
    set_default(None)
    second = move.enqueue(Point(1))
    default().close()
    set_default(None)

    assert record(queue, first.id)["max_retry"] == "4"
    assert entries(queue, queue.keys.pending) == [first.id, second.id]
