"""The life of a task as a client sees it."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import Attempt, ErrorDetail, ErrorKind, Status

WORKER = "worker-1"
UNKNOWN = str(uuid.uuid4())
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLISECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def create(api: TestClient, **members: Any) -> dict[str, Any]:
    answer = api.simulate_post("/tasks", json={"type": "echo", **members})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json
    return task


def start(queue: Queue) -> Attempt:
    queue.join(WORKER, 60, b"{}")
    attempt = queue.claim(WORKER)
    assert attempt
    return attempt


def complete(queue: Queue) -> None:
    queue.complete(WORKER, start(queue), b'"echo: Hello"')


def fail(queue: Queue) -> None:
    detail = ErrorDetail(kind=ErrorKind.EXCEPTION, type="ValueError", message="boom")
    queue.fail(WORKER, start(queue), "ValueError: boom", detail)


def leave(_queue: Queue) -> None:
    """The task stays as it is."""


def test_a_new_task_is_answered_as_clients_have_always_read_it(api: TestClient) -> None:
    answer = api.simulate_post("/tasks", json={"type": "echo", "payload": "Hello World"})

    assert answer.status_code == 201
    task = answer.json
    assert answer.headers["location"] == f"/tasks/{task['id']}"
    assert uuid.UUID(task["id"]).version == 4
    assert SECOND.fullmatch(task["created_at"])
    assert task["updated_at"] == task["created_at"]
    origin = {"type": "echo", "payload": "Hello World", "status": "pending", "retries": 0, "max_retry": 3}
    added = {"queue": "default", "priority": "normal", "attempt": 0, "crashes": 0}
    moments = {name: task[name] for name in ("id", "created_at", "updated_at")}
    assert task == {**origin, **added, **moments}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"payload": None},
        {"payload": {"a": [1, 2.5, "ä\u0000\U0001f600", {"": None}]}},
        {"payload": 10**30},
        {"delay": "1h", "priority": "high", "tags": ["b", "a", "b"], "timeout": "1.23456s", "max_retry": 0},
        {"run_at": "2200-01-01T00:00:00.123456+01:00", "queue": "other"},
        {"run_at": "1999-01-01T00:00:00Z"},
        {"expires_in": "1.5s", "unique_key": "report-1"},
    ],
)
def test_the_answer_to_a_post_is_what_a_get_shows_right_after(api: TestClient, members: dict[str, Any]) -> None:
    answer = api.simulate_post("/tasks", json={"type": "echo", **members})

    shown = api.simulate_get(answer.headers["location"])
    assert shown.status_code == 200
    assert shown.content.startswith(answer.content[:-1])  # a GET says in addition what it waits for
    assert set(shown.json) - set(answer.json) == {"waiting"}
    assert shown.json.get("payload") == members.get("payload")
    assert ("payload" in shown.json) == ("payload" in members)


def test_a_task_that_is_due_later_is_scheduled_to_the_millisecond(api: TestClient) -> None:
    task = create(api, run_at="2200-01-01T01:00:00.1239+01:00")

    assert (task["status"], task["run_at"]) == ("scheduled", "2200-01-01T00:00:00.123Z")


def test_a_payload_is_stored_as_compact_utf_8(api: TestClient, inspector: Inspector) -> None:
    body = b'{ "type" : "echo", "payload" : [ 1, "\\u00e9\\ud83d\\ude00" ] }'

    answer = api.simulate_post("/tasks", body=body, headers={"Content-Type": "application/json"})

    stored = inspector.get(answer.json["id"])
    assert stored is not None
    assert stored.payload == '[1,"é😀"]'.encode()


def test_a_completed_task_shows_its_result(api: TestClient, queue: Queue) -> None:
    task = create(api, payload="Hello")
    complete(queue)

    shown = api.simulate_get(f"/tasks/{task['id']}").json

    assert (shown["status"], shown["result"], shown["attempt"]) == ("completed", "echo: Hello", 1)
    assert shown["worker_id"] == WORKER
    assert MILLISECOND.fullmatch(shown["started_at"])
    assert MILLISECOND.fullmatch(shown["finished_at"])
    assert "error" not in shown


def test_a_failed_task_shows_its_error(api: TestClient, queue: Queue) -> None:
    task = create(api)
    fail(queue)

    shown = api.simulate_get(f"/tasks/{task['id'].upper()}").json

    assert (shown["status"], shown["error"]) == ("failed", "ValueError: boom")
    assert shown["error_detail"] == {"kind": "exception", "type": "ValueError", "message": "boom"}
    assert "result" not in shown


@pytest.mark.parametrize("before", [leave, start, complete, fail])
def test_a_deleted_task_is_gone(api: TestClient, queue: Queue, before: Callable[[Queue], None]) -> None:
    path = f"/tasks/{create(api)['id']}"
    before(queue)

    first, second = api.simulate_delete(path), api.simulate_delete(path)

    assert (first.status_code, first.content) == (204, b"")
    assert (second.status_code, second.json["error"]) == (404, "task not found")
    assert api.simulate_get(path).status_code == 404


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/requeue")])
def test_a_task_that_nobody_stored_is_not_found(api: TestClient, method: str, rest: str) -> None:
    create(api)

    answer = api.simulate_request(method, f"/tasks/{UNKNOWN}{rest}")

    assert answer.status_code == 404
    assert (answer.json["error"], answer.json["code"]) == ("task not found", "task_not_found")


@pytest.mark.parametrize(("members", "before", "code"), [({}, leave, 200), ({"delay": 60}, leave, 200), ({}, start, 202)])
def test_a_cancelled_task_has_ended_for_good(
    api: TestClient, queue: Queue, members: dict[str, Any], before: Callable[[Queue], None], code: int
) -> None:
    path = f"/tasks/{create(api, **members)['id']}"
    before(queue)

    answer = api.simulate_post(f"{path}/cancel", json={"reason": "wrong file"})
    again = api.simulate_post(f"{path}/cancel")

    assert (answer.status_code, answer.json["status"]) == (code, "cancelled")
    assert answer.json["error"] == "cancelled: wrong file"
    assert answer.json["error_detail"]["kind"] == "cancelled"
    assert (again.status_code, again.json) == (200, answer.json)
    assert api.simulate_get(path).json == answer.json


@pytest.mark.parametrize(("before", "status"), [(complete, "completed"), (fail, "failed")])
def test_a_task_that_has_ended_cannot_be_cancelled(
    api: TestClient, queue: Queue, before: Callable[[Queue], None], status: str
) -> None:
    path = f"/tasks/{create(api)['id']}"
    before(queue)

    answer = api.simulate_post(f"{path}/cancel")

    assert (answer.status_code, answer.json["code"]) == (409, "task_ended")
    assert answer.json["error"] == f"the task has already ended: it is {status}"
    assert api.simulate_get(path).json["status"] == status


def test_a_failed_task_can_be_brought_back(api: TestClient, queue: Queue) -> None:
    path = f"/tasks/{create(api)['id']}"
    fail(queue)

    answer = api.simulate_post(f"{path}/requeue")

    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    assert api.simulate_get(path).json.items() >= answer.json.items()
    assert start(queue).attempt == 2


def test_a_cancelled_task_can_be_brought_back_later(api: TestClient) -> None:
    path = f"/tasks/{create(api)['id']}"
    api.simulate_post(f"{path}/cancel")

    answer = api.simulate_post(f"{path}/requeue", json={"delay": "1h"})

    assert (answer.status_code, answer.json["status"]) == (202, "scheduled")
    assert MILLISECOND.fullmatch(answer.json["run_at"])


def test_a_unique_key_that_is_taken_is_answered_with_the_task_that_holds_it(api: TestClient) -> None:
    first = create(api, unique_key="report-1")

    answer = api.simulate_post("/tasks", json={"type": "echo", "unique_key": "report-1"})

    assert (answer.status_code, answer.json["code"]) == (409, "unique_key_taken")
    assert answer.json["task_id"] == first["id"]
    assert answer.json["error"] == f"the unique key 'report-1' is held by task {first['id']} until that has ended"
    assert answer.json["errors"] == [
        {"pointer": "/unique_key", "detail": "expected a key that no unfinished task has, got 'report-1'"}
    ]
    assert len(api.simulate_get("/tasks").json) == 1


def test_a_task_cannot_be_brought_back_while_another_one_holds_its_unique_key(api: TestClient) -> None:
    path = f"/tasks/{create(api, unique_key='report-1')['id']}"
    api.simulate_post(f"{path}/cancel")
    second = create(api, unique_key="report-1")

    answer = api.simulate_post(f"{path}/requeue")

    assert (answer.status_code, answer.json["code"]) == (409, "unique_key_taken")
    assert answer.json["task_id"] == second["id"]
    assert api.simulate_get(path).json["status"] == "cancelled"


def test_a_task_that_expired_shows_why_it_never_ran(api: TestClient, queue: Queue) -> None:
    task = create(api, expires_in="1ms")
    assert queue.link.redis.blpop("nothing", 0.01) is None

    queue.expire()

    shown = api.simulate_get(f"/tasks/{task['id']}").json
    assert (shown["status"], shown["error"], shown["attempt"]) == ("failed", "expired before it could start", 0)
    assert shown["error_detail"] == {"kind": "expired", "message": "expired before it could start"}


@pytest.mark.parametrize(
    ("before", "status"), [(leave, Status.PENDING), (start, Status.PROCESSING), (complete, Status.COMPLETED)]
)
def test_no_other_task_can_be_brought_back(
    api: TestClient, queue: Queue, before: Callable[[Queue], None], status: Status
) -> None:
    path = f"/tasks/{create(api)['id']}"
    before(queue)

    answer = api.simulate_post(f"{path}/requeue")

    assert (answer.status_code, answer.json["code"]) == (409, "task_not_ended")
    assert answer.json["error"] == f"only a failed or cancelled task can be requeued; this one is {status}"
    assert api.simulate_get(path).json["status"] == status


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("cancel", {"reason": 5}, 422),
        ("cancel", [], 400),
        ("requeue", {"delay": "later"}, 422),
        ("requeue", "x", 400),
    ],
)
def test_a_wrong_body_changes_nothing(api: TestClient, queue: Queue, verb: str, body: object, code: int) -> None:
    path = f"/tasks/{create(api)['id']}"
    fail(queue)

    answer = api.simulate_post(f"{path}/{verb}", json=body)

    assert answer.status_code == code
    assert api.simulate_get(path).json["status"] == "failed"


def test_each_change_of_a_task_is_logged_with_its_id_and_never_its_payload(
    api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "taskq")
    headers = {"X-Request-ID": "r1"}

    path = api.simulate_post("/tasks", json={"type": "echo", "payload": "secret"}, headers=headers).headers["location"]
    for verb in ("cancel", "cancel", "requeue"):
        api.simulate_post(f"{path}/{verb}", headers=headers)
    api.simulate_delete(path, headers=headers)

    lines = [vars(record) for record in caplog.records if record.msg and vars(record)["event"].startswith("task.")]
    assert [line["event"] for line in lines] == ["task.enqueued", "task.cancelled", "task.requeued", "task.deleted"]
    assert {line["task_id"] for line in lines} == {path.removeprefix("/tasks/")}
    assert {line["request_id"] for line in lines} == {"r1"}
    assert (lines[0]["type"], lines[0]["queue"]) == ("echo", "default")
    assert "secret" not in str([vars(record) for record in caplog.records])
