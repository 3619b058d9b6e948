from __future__ import annotations

import json

import msgspec
import pytest

from taskq.api.views import enqueued_task, millisecond, queue_view, second, task_view, worker_view
from taskq.queue.answers import Enqueued
from taskq.queue.inspect import Pause, QueueState, WorkerState
from taskq.task import NewTask, Priority, Progress, Status, Task

ID = "5335d502-a2c7-4abd-9496-c64692b43869"
CREATED_MS = 1_769_943_212_987


def shown(view: object) -> dict[str, object]:
    value: dict[str, object] = json.loads(msgspec.json.encode(view))
    return value


def test_a_new_task_shows_what_clients_have_always_read_and_little_more() -> None:
    new = NewTask(id=ID, type="echo", payload=b'"Hello World"')

    view = shown(task_view(enqueued_task(new, Enqueued(CREATED_MS, None))))

    assert view == {
        "id": ID,
        "type": "echo",
        "payload": "Hello World",
        "status": "pending",
        "retries": 0,
        "max_retry": 3,
        "created_at": "2026-02-01T10:53:32Z",
        "updated_at": "2026-02-01T10:53:32Z",
        "queue": "default",
        "priority": "normal",
        "attempt": 0,
        "crashes": 0,
    }


def test_a_new_task_that_is_due_later_is_shown_as_scheduled() -> None:
    new = NewTask(id=ID, type="echo", priority=Priority.LOW, delay_s=60, timeout_s=2.5, tags=("a", "b"))

    view = shown(task_view(enqueued_task(new, Enqueued(CREATED_MS, CREATED_MS + 60_000))))

    assert view["status"] == "scheduled"
    assert view["run_at"] == "2026-02-01T10:54:32.987Z"
    assert (view["priority"], view["timeout_s"], view["tags"]) == ("low", 2.5, ["a", "b"])
    assert "payload" not in view


def test_a_new_task_shows_when_it_expires_and_what_makes_it_unique() -> None:
    new = NewTask(id=ID, type="echo", expires_in_s=60, unique_key="report")

    view = shown(task_view(enqueued_task(new, Enqueued(CREATED_MS, None))))

    assert (view["expires_at"], view["unique_key"]) == ("2026-02-01T10:54:32.987Z", "report")


def test_a_task_that_ended_shows_how() -> None:
    task = Task(
        id=ID,
        type="echo",
        queue="default",
        status=Status.FAILED,
        retries=3,
        attempt=4,
        crashes=1,
        started_at_ms=CREATED_MS,
        finished_at_ms=CREATED_MS + 13,
        timeout_s=30.0,
        worker_id="host-1",
        result=b'{"a":1.0}',
        error="boom",
        error_detail={"kind": "exception", "type": "ValueError"},
    )

    encoded = msgspec.json.encode(task_view(task))
    view = json.loads(encoded)

    assert view["started_at"] == "2026-02-01T10:53:32.987Z"
    assert view["finished_at"] == "2026-02-01T10:53:33.000Z"
    assert (view["retries"], view["attempt"], view["crashes"]) == (3, 4, 1)
    assert (view["error"], view["error_detail"]) == ("boom", {"kind": "exception", "type": "ValueError"})
    assert view["worker_id"] == "host-1"
    assert b'"timeout_s":30,' in encoded
    assert b'"result":{"a":1.0}' in encoded


@pytest.mark.parametrize("payload", [b"null", b"[1.50, 2e0]", b"12345678901234567890123", b'"\\u0000"'])
def test_payload_and_result_are_shown_as_they_are_stored(payload: bytes) -> None:
    task = Task(id=ID, type="echo", queue="q", status=Status.COMPLETED, payload=payload, result=payload)

    encoded = msgspec.json.encode(task_view(task))

    assert b'"payload":' + payload + b',"status"' in encoded
    assert b'"result":' + payload + b',"retries"' in encoded


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-42_000_000_000_000, "0639-01-27T21:20:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_of_any_year_has_four_digits_for_it(ms: int, text: str) -> None:
    assert millisecond(ms) == text


def test_moments_are_cut_off_and_never_rounded_up() -> None:
    assert second(999) == "1970-01-01T00:00:00Z"
    assert millisecond(999) == "1970-01-01T00:00:00.999Z"
    assert millisecond(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(3.0, 10.0, "resizing"), {"done": 3, "total": 10, "message": "resizing"}),
        (Progress(0.5), {"done": 0.5}),
        (Progress(0), {"done": 0}),
    ],
)
def test_progress_shows_what_the_handler_said(progress: Progress, expected: dict[str, object]) -> None:
    task = Task(id=ID, type="echo", queue="default", status=Status.PROCESSING, progress=progress)

    assert shown(task_view(task))["progress"] == expected


def test_a_queue_shows_its_counts_and_no_wait_where_nothing_waits() -> None:
    state = QueueState(queue="mail", counts={Status.PENDING: 2, Status.FAILED: 1}, oldest_wait_s=1.23456, workers=3)
    idle = QueueState(queue="mail", counts={}, oldest_wait_s=None, workers=0)
    paused = QueueState(queue="mail", counts={}, oldest_wait_s=None, workers=0, paused=Pause(1_001, "deploy"))

    assert shown(queue_view(state, (1.25, 0))) == {
        "queue": "mail",
        "counts": {"pending": 2, "failed": 1},
        "oldest_wait_s": 1.235,
        "workers": 3,
        "rates": {"in": 1.25, "out": 0},
    }
    assert shown(queue_view(idle, (0, 0))) == {"queue": "mail", "counts": {}, "workers": 0, "rates": {"in": 0, "out": 0}}
    assert shown(queue_view(paused, (0, 0)))["paused"] == {"since": "1970-01-01T00:00:01.001Z", "reason": "deploy"}


def test_a_queue_shows_the_stale_writes_that_it_refused() -> None:
    state = QueueState(queue="mail", counts={}, oldest_wait_s=None, workers=0, stale_writes=2)

    assert shown(queue_view(state, (1.25, 0)))["stale_writes"] == 2


def test_a_worker_cannot_tell_anything_that_contradicts_what_redis_knows() -> None:
    state = WorkerState(id="w1", queue="mail", info={"host": "a", "pid": 7, "id": "x"}, lease_s=14.98765, task_ids=[ID])

    assert shown(worker_view(state)) == {
        "host": "a",
        "pid": 7,
        "id": "w1",
        "queue": "mail",
        "lease_s": 14.988,
        "task_ids": [ID],
    }
