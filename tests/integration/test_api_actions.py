"""POST /tasks/actions and /operations."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.errors import QueueUnavailable
from taskq.maintenance.operations import Operator
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Operations
from taskq.queue.queue import Queue
from taskq.task import Status
from tests.integration.steps import DETAIL, claim, enqueued, joined, status


def act(api: TestClient, **body: Any) -> Result:
    return api.simulate_post("/tasks/actions", json=body)


def carry_out(inspector: Inspector) -> None:
    operator = Operator(Operations(inspector))
    while operator.operate():
        pass


def failed(queue: Queue) -> str:
    worker = joined(queue)
    task_id = enqueued(queue)
    queue.fail(worker, claim(queue, worker), "boom", DETAIL)
    return task_id


def test_an_action_is_accepted_carried_out_and_told(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    task_id = failed(queue)

    answer = act(api, action="requeue", filter={"status": "failed", "type": "echo"}, reason="a new release")

    assert answer.status_code == 202
    path = answer.headers["location"]
    assert path == f"/operations/{answer.json['id']}"
    planned = {**answer.json}
    assert planned.pop("created_at")
    assert planned == {
        "id": answer.json["id"],
        "action": "requeue",
        "state": "waiting",
        "reason": "a new release",
        "filter": {"status": "failed", "type": "echo"},
        "matched": 0,
        "done": 0,
        "skipped": 0,
        "failed": 0,
    }
    assert status(queue, task_id) is Status.FAILED
    carry_out(inspector)

    shown = api.simulate_get(path)
    assert (shown.status_code, shown.json["state"], shown.json["done"]) == (200, "completed", 1)
    assert shown.json["started_at"] <= shown.json["finished_at"]
    assert api.simulate_get("/operations").json == [shown.json]
    assert api.simulate_head("/operations").status_code == api.simulate_head(path).status_code == 200
    assert status(queue, task_id) is Status.PENDING


def test_a_dry_run_counts_shows_some_and_does_nothing(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    ids = [enqueued(queue) for _ in range(12)]

    answer = act(api, action="cancel", filter={"queue": "default"}, dry_run=True)

    assert (answer.status_code, answer.json["matched"], answer.json["exact"]) == (200, 12, True)
    assert len(answer.json["sample"]) == 10
    assert {task["id"] for task in answer.json["sample"]} <= set(ids)
    assert api.simulate_get("/operations").json == []
    carry_out(inspector)
    assert status(queue, ids[0]) is Status.PENDING


def test_a_dry_run_of_ids_counts_those_that_are_there(api: TestClient, queue: Queue) -> None:
    task_id = enqueued(queue)

    answer = act(api, action="delete", ids=[task_id.upper(), task_id, str(uuid.uuid4())], dry_run=True)

    assert (answer.json["matched"], [task["id"] for task in answer.json["sample"]]) == (1, [task_id])


def test_tasks_are_named_by_their_ids(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    wanted, other = enqueued(queue), enqueued(queue)

    answer = act(api, action="delete", ids=[wanted])
    carry_out(inspector)

    assert (answer.status_code, answer.json["ids"]) == (202, 1)
    assert (status(queue, wanted), status(queue, other)) == (None, Status.PENDING)


def test_an_operation_is_stopped(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    task_id = enqueued(queue)
    path = act(api, action="cancel", filter={"type": "echo"}).headers["location"]

    answer = api.simulate_post(f"{path}/stop")
    carry_out(inspector)

    assert (answer.status_code, answer.json["state"]) == (202, "stopping")
    assert api.simulate_get(path).json["state"] == "stopped"
    assert status(queue, task_id) is Status.PENDING
    again = api.simulate_post(f"{path}/stop")
    assert (again.status_code, again.json["state"]) == (200, "stopped")


@pytest.mark.parametrize("name", ["x", str(uuid.UUID(int=7)), "{}", uuid.UUID(int=7).hex])
def test_an_operation_that_nobody_knows_is_not_found(api: TestClient, name: str) -> None:
    for answer in (api.simulate_get(f"/operations/{name}"), api.simulate_post(f"/operations/{name}/stop")):
        assert (answer.status_code, answer.json["code"]) == (404, "operation_not_found")


ID = str(uuid.uuid4())


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/action", ""]),
        ({"action": "retry", "ids": [ID]}, ["/action"]),
        ({"action": "cancel"}, [""]),
        ({"action": "cancel", "ids": [ID], "filter": {"type": "a"}}, [""]),
        ({"action": "cancel", "ids": []}, ["/ids"]),
        ({"action": "cancel", "ids": [ID] * 1001}, ["/ids"]),
        ({"action": "cancel", "ids": ["x"]}, ["/ids"]),
        ({"action": "cancel", "ids": [7]}, ["/ids"]),
        ({"action": "cancel", "filter": []}, ["/filter"]),
        ({"action": "cancel", "filter": {}}, ["/filter"]),
        ({"action": "cancel", "filter": {"statuss": "failed"}}, ["/filter/statuss"]),
        ({"action": "cancel", "filter": {"a/b~c": 1, "type": "a"}}, ["/filter/a~1b~0c"]),
        ({"action": "cancel", "filter": {"type": None}}, ["/filter/type"]),
        ({"action": "delete", "filter": {"status": "failed", "type": None}}, ["/filter/type"]),
        ({"action": "cancel", "filter": {"status": "failed"}}, ["/filter/status"]),
        ({"action": "requeue", "filter": {"status": "completed"}}, ["/filter/status"]),
        ({"action": "delete", "filter": {"type": "a b", "tag": 1}}, ["/filter/type", "/filter/tag"]),
        ({"action": "delete", "filter": {"error_kind": "x"}}, ["/filter/error_kind"]),
        ({"action": "delete", "filter": {"finished_after": "yesterday"}}, ["/filter/finished_after"]),
        ({"action": "delete", "ids": [ID], "dry_run": "yes", "reason": 1}, ["/reason", "/dry_run"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_body_is_told(api: TestClient, body: dict[str, Any], pointers: list[str]) -> None:
    answer = act(api, **body)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_members")
    assert [fault["pointer"] for fault in answer.json["errors"]] == pointers
    first = answer.json["errors"][0]
    assert answer.json["error"] == f"invalid {first['pointer'][1:] or 'body'}: {first['detail']}"
    assert api.simulate_get("/operations").json == []


def test_no_operation_is_taken_during_a_drain(inspector: Inspector) -> None:
    draining = TestClient(create_app(ApiContext(inspector=inspector, draining=lambda: True)))

    assert act(draining, action="cancel", filter={"type": "a"}).status_code == 503


def test_an_action_that_is_sent_again_is_one_operation(api: TestClient, inspector: Inspector) -> None:
    body = {"action": "cancel", "filter": {"type": "echo"}}
    headers = {"Idempotency-Key": "k"}

    first = api.simulate_post("/tasks/actions", json=body, headers=headers)
    carry_out(inspector)
    again = api.simulate_post("/tasks/actions", json=body, headers=headers)

    assert (first.status_code, first.headers.get("idempotency-replayed")) == (202, None)
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (202, "true")
    assert (again.json["id"], again.headers["location"]) == (first.json["id"], first.headers["location"])
    assert (first.json["state"], again.json["state"]) == ("waiting", "completed")
    assert len(api.simulate_get("/operations").json) == 1


def test_a_key_stands_for_one_action(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    api.simulate_post("/tasks/actions", json={"action": "cancel", "filter": {"type": "echo"}}, headers=headers)

    other = api.simulate_post("/tasks/actions", json={"action": "delete", "filter": {"type": "echo"}}, headers=headers)

    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert [each["action"] for each in api.simulate_get("/operations").json] == ["cancel"]


def test_an_operation_whose_first_request_died_is_planned_by_the_second(
    api: TestClient, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, headers = {"action": "cancel", "filter": {"type": "echo"}}, {"Idempotency-Key": "k"}
    with monkeypatch.context() as dying:
        dying.setattr(Operations, "plan", unavailable)
        assert api.simulate_post("/tasks/actions", json=body, headers=headers).status_code == 503

    again = api.simulate_post("/tasks/actions", json=body, headers=headers)

    assert again.status_code == 202
    assert Operations(inspector).get(again.json["id"]) is not None


def unavailable(*_: object) -> None:
    raise QueueUnavailable("gone")
