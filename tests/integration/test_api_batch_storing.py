"""How a batch is stored: once, however often it is sent, and as far as Redis takes it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.api import planning
from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.api.submission import new_task
from taskq.errors import QueueFull, QueueUnavailable
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.typeoptions import Options
from tests.integration.batches import LINES, PATH, echo, post, statuses, stored
from tests.integration.steps import members

# -- sent again


def test_a_batch_that_is_sent_again_is_answered_as_the_first_time(api: TestClient, inspector: Inspector) -> None:
    headers = {"Idempotency-Key": "k"}
    tasks = [echo(payload=1), echo(queue=5), echo(unique_key="u"), echo(delay=60)]

    first = post(api, tasks, headers)
    again = post(api, tasks, headers)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(stored(inspector)) == 3


def test_an_atomic_batch_that_is_sent_again_stores_nothing_again(api: TestClient, inspector: Inspector) -> None:
    headers = {"Idempotency-Key": "k"}
    first = post(api, [echo(), echo(unique_key="u")], headers, atomic=True)
    for entry in first.json:
        api.simulate_delete(f"/tasks/{entry['task']['id']}")

    again = post(api, [echo(), echo(unique_key="u")], headers, atomic=True)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert stored(inspector) == []


@pytest.mark.parametrize("atomic", [False, True])
def test_what_was_admitted_under_a_key_is_what_is_stored(
    api: TestClient, inspector: Inspector, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """Whoever asked for each task twice could be told something else the second time, and store a part of all or none."""
    asked: list[Any] = []
    monkeypatch.setattr(planning, "new_task", lambda item, *rest: asked.append(item["payload"]) or new_task(item, *rest))  # type: ignore[func-returns-value]

    answer = post(api, [echo(payload=n) for n in range(3)], {"Idempotency-Key": "k"}, atomic=atomic)

    assert answer.status_code == (201 if atomic else 200)
    assert sorted(asked) == [0, 1, 2]
    assert len(stored(inspector)) == 3


def test_a_refused_atomic_batch_leaves_its_key_free(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert post(api, [echo(queue=5)], headers, atomic=True).status_code == 422

    assert post(api, [echo()], headers, atomic=True).status_code == 201


@pytest.mark.parametrize("change", [{"tasks": [{"type": "other"}]}, {"atomic": True}])
def test_a_key_stands_for_one_batch(api: TestClient, change: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"tasks": [echo()]}
    assert api.simulate_post(PATH, json=body, headers=headers).status_code == 200

    answer = api.simulate_post(PATH, json={**body, **change}, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_a_key_of_a_batch_is_none_of_a_task(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    post(api, [echo()], headers)

    assert api.simulate_post("/tasks", json=echo(), headers=headers).json["code"] == "idempotency_key_reused"


def test_lines_that_are_no_json_are_sent_again_as_well(api: TestClient) -> None:
    headers = {**LINES, "Idempotency-Key": "k"}
    body = '{"type": "echo"}\nnonsense'

    first, again = (api.simulate_post(PATH, body=body, headers=headers) for _ in range(2))

    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_tasks_that_are_alike_are_stored_as_each_by_itself(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FIRST", 1)
    monkeypatch.setattr(planning, "STEP", 2)
    registry = Registry()
    registry.add("count", counted, Options())
    context = ApiContext(inspector=inspector, registry=registry, own_queues=frozenset({"default"}))
    api = TestClient(create_app(context))
    tasks = [
        {"type": "count", "payload": {"n": n}, "priority": "low", "tags": ["a"], "delay": 60, "expires_in": "2h"}
        for n in ("bad", 1, 2, "bad", "bad", 3)
    ]

    answer = post(api, tasks)
    alone = [api.simulate_post("/tasks", json=tasks[at]).json for at in (1, 2, 5)]

    assert statuses(answer) == [422, 201, 201, 422, 422, 201]
    shown = [answer.json[at]["task"] for at in (1, 2, 5)]
    assert [comparable(task) for task in shown] == [comparable(task) for task in alone]
    for task in shown:
        stored = api.simulate_get(f"/tasks/{task['id']}").json
        assert {name: stored[name] for name in task} == task
    queue = inspector.queue("default")
    assert set(members(queue, queue.keys.scheduled)) == {task["id"] for task in [*shown, *alone]}


def counted(n: int) -> None:
    """Takes a number."""


def comparable(task: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name != "id" and not name.endswith("_at")}


# -- trouble


class Failing(Queue):
    """A queue that cannot be reached."""

    def announce(self) -> None:
        raise QueueUnavailable(self.name)


class Breaking(Link):
    """Breaks for good in the middle of what is to be stored."""

    def stream(self, commands: Any, replies: list[Any] | None = None) -> list[Any]:
        super().stream(commands[:2], replies)
        raise QueueUnavailable("gone")


def test_a_queue_that_fails_keeps_no_other_out(api: TestClient, inspector: Inspector) -> None:
    inspector._queues["away"] = Failing(inspector.link, prefix=inspector.prefix, name="away")

    answer = post(api, [echo(), echo(queue="away"), echo(queue=5)])

    assert answer.status_code == 200
    assert statuses(answer) == [201, 503, 422]
    assert answer.json[1]["code"] == "queue_unavailable"


def test_what_was_stored_before_redis_went_away_is_told(
    api: TestClient, inspector: Inspector, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "FIRST", 1)
    monkeypatch.setattr(planning, "STEP", 3)
    with contextlib.closing(Breaking(redis_url)) as link:
        inspector._queues["default"] = Queue(link, prefix=inspector.prefix)
        answer = post(api, [echo(payload=1), echo(payload=2), echo(queue=5), echo(payload=3), echo(payload=4), "no task"])

    assert statuses(answer) == [201, 201, 422, 201, 503, 503]
    stored = {task.id: task.payload for task in inspector.page(limit=10).tasks}
    assert stored == {answer.json[at]["task"]["id"]: payload for at, payload in ((0, b"1"), (1, b"2"), (3, b"3"))}


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_of_which_nothing_could_be_stored_is_a_503(api: TestClient, inspector: Inspector, atomic: bool) -> None:
    inspector._queues["away"] = Failing(inspector.link, prefix=inspector.prefix, name="away")

    answer = post(api, [echo(queue="away"), echo(queue="away")], atomic=atomic)

    assert (answer.status_code, answer.json["code"]) == (503, "queue_unavailable")
    assert answer.headers["retry-after"]


def test_a_full_redis_takes_no_batch(api: TestClient, inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise QueueFull("full")

    monkeypatch.setattr(inspector.queue("default"), "announce", full)

    assert post(api, [echo()]).json["code"] == "queue_full"


def test_a_draining_service_takes_no_batch(inspector: Inspector) -> None:
    draining = TestClient(create_app(ApiContext(inspector=inspector, draining=lambda: True)))

    assert post(draining, [echo()]).json["code"] == "shutting_down"
