"""The trace context of a task: stored with it, handed to each of its attempts, shown and logged; nothing without one."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from falcon.testing import TestClient

from taskq import InvalidOptions
from taskq.client.place import Place
from taskq.client.queue import Queue as Producer
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.tracecontext import TraceContext
from tests.integration.steps import DETAIL, claim, enqueued, joined, record, started

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
STATE = "rojo=00f067aa0ba902b7,fw@dt=x y"
CONTEXT = TraceContext(PARENT, STATE)
HEADERS = {"traceparent": PARENT, "tracestate": STATE}
SHOWN = {"traceparent": PARENT, "tracestate": STATE}
OTHER = f"00-{TRACE[::-1]}-00f067aa0ba902b7-00"


def test_an_attempt_gets_the_trace_of_its_task(queue: Queue) -> None:
    attempt = started(queue, joined(queue), trace=CONTEXT, tags=("a", "b"))

    assert (attempt.trace, attempt.tags) == (CONTEXT, ("a", "b"))
    assert record(queue, attempt.id)["trace"] == f"{PARENT} {STATE}"


def test_a_trace_without_state_has_none(queue: Queue) -> None:
    attempt = started(queue, joined(queue), trace=TraceContext(PARENT))

    assert (attempt.trace, attempt.tags) == (TraceContext(PARENT), ())
    assert record(queue, attempt.id)["trace"] == PARENT


def test_a_task_without_a_trace_stores_none(queue: Queue) -> None:
    attempt = started(queue, joined(queue), tags=("a",))

    assert (attempt.trace, attempt.tags) == (None, ("a",))
    assert "trace" not in record(queue, attempt.id)


def test_a_trace_that_cannot_be_read_keeps_nothing_from_running(queue: Queue, inspector: Inspector) -> None:
    task_id = enqueued(queue)
    queue.link.redis.hset(queue.keys.task(task_id), "trace", b"\xff what \x00")

    assert claim(queue, joined(queue)).trace is None
    task = inspector.get(task_id)
    assert task is not None
    assert task.trace is None


def test_every_further_attempt_bears_the_same_trace(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, trace=CONTEXT)
    seen = [attempt.trace]

    queue.release(worker, attempt)
    seen.append((attempt := claim(queue, worker)).trace)
    queue.retry(worker, attempt, 0, "boom", DETAIL)
    queue.promote()
    seen.append((attempt := claim(queue, worker)).trace)
    queue.reap(worker, dead=True, max_crashes=3, error="killed", detail=DETAIL)
    worker = joined(queue)
    seen.append((attempt := claim(queue, worker)).trace)
    queue.fail(worker, attempt, "boom", DETAIL)
    queue.requeue(attempt.id)
    seen.append((attempt := claim(queue, worker)).trace)

    assert seen == [CONTEXT] * 5
    assert attempt.attempt == len(seen)


def test_a_post_stores_shows_and_logs_its_trace(api: TestClient, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    task = api.simulate_post("/tasks", json={"type": "echo"}, headers=HEADERS).json

    assert task.items() >= SHOWN.items()
    assert api.simulate_get(f"/tasks/{task['id']}").json.items() >= SHOWN.items()
    assert claim(queue, joined(queue)).trace == CONTEXT
    api.simulate_post(f"/tasks/{task['id']}/cancel")
    api.simulate_post(f"/tasks/{task['id']}/requeue")
    assert {line.event: line.trace_id for line in lines(caplog) if hasattr(line, "trace_id")} == {
        "task.enqueued": TRACE,
        "task.cancelled": TRACE,
        "task.requeued": TRACE,
    }


@pytest.mark.parametrize(
    "given", ["", "x", PARENT.upper(), f"{PARENT}-more", f"00-{'0' * 32}-00f067aa0ba902b7-01", "\u00ff"]
)
def test_a_malformed_header_is_ignored(api: TestClient, queue: Queue, given: str) -> None:
    answer = api.simulate_post("/tasks", json={"type": "echo"}, headers={"traceparent": given, "tracestate": STATE})

    assert answer.status_code == 201
    assert not SHOWN.keys() & answer.json.keys()
    assert "trace" not in record(queue, answer.json["id"])


def test_all_tasks_of_a_batch_are_in_the_trace_of_the_request(
    api: TestClient, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"tasks": [{"type": "echo"}, {"type": "a b"}, {"type": "echo"}]}

    entries = api.simulate_post("/tasks/batch", json=body, headers=HEADERS).json

    tasks = [entry["task"] for entry in entries if entry["status"] == 201]
    assert all(task.items() >= SHOWN.items() for task in tasks)
    assert [record(queue, task["id"])["trace"] for task in tasks] == [f"{PARENT} {STATE}"] * 2
    assert [line.trace_id for line in lines(caplog) if line.event in ("task.enqueued", "batch.enqueued")] == [TRACE] * 3


@pytest.mark.parametrize(
    ("path", "body"), [("/tasks", {"type": "echo"}), ("/tasks/batch", {"tasks": [{"type": "echo"}], "atomic": True})]
)
def test_a_repeat_in_another_trace_is_a_repeat_and_the_first_trace_stays(
    api: TestClient, queue: Queue, path: str, body: Any
) -> None:
    def post(traceparent: str) -> Any:
        headers = {"Idempotency-Key": "k", "traceparent": traceparent}
        answer = api.simulate_post(path, json=body, headers=headers).json
        return answer if path == "/tasks" else answer[0]["task"]

    first, again = post(PARENT), post(OTHER)

    assert again["id"] == first["id"]
    assert (first.get("traceparent"), again.get("traceparent")) == (PARENT, None)
    assert record(queue, first["id"])["trace"] == PARENT


def test_producers_name_the_trace_as_an_option(redis_url: str, prefix: str, queue: Queue) -> None:
    with Producer(Place(url=redis_url, prefix=prefix)) as producer:
        one = producer.enqueue("echo", "x", traceparent=PARENT, tracestate=STATE)
        many = producer.enqueue_many("echo", ["y", "z"], traceparent=PARENT, tracestate=STATE)
        malformed = producer.enqueue("echo", "x", traceparent="what")
        with pytest.raises(InvalidOptions, match="traceparent: expected a string, got 7"):
            producer.enqueue("echo", "x", traceparent=7)

        assert [one.task().trace, *(receipt.task().trace for receipt in many)] == [CONTEXT] * 3
        assert malformed.task().trace is None


def test_a_producer_that_tries_again_in_another_trace_gets_the_first_task(redis_url: str, prefix: str) -> None:
    with Producer(Place(url=redis_url, prefix=prefix)) as producer:
        first = producer.enqueue("echo", "x", idempotency_key="k", traceparent=PARENT)
        again = producer.enqueue("echo", "x", idempotency_key="k", traceparent=OTHER)

        assert (again.id, again.task().trace) == (first.id, TraceContext(PARENT))


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [line for line in caplog.records if hasattr(line, "event")]
