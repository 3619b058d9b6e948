"""Queues, workers and health against a real server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.task import NewTask
from tests.integration.steps import LEASE_S, MIB, PAUSE_S

INFO = b'{"host": "h1", "pool": "default", "pid": 7, "resident_bytes": 4096}'


@pytest.fixture
def busy(inspector: Inspector) -> str:
    """Two queues; in `default` one worker runs a task and another task waits. The value is the id of the running one."""
    inspector.queue("mail").enqueue(NewTask(id=str(uuid.uuid4()), type="echo", queue="mail", delay_s=60))
    queue = inspector.queue("default")
    queue.join("w1", 60, INFO)
    for _ in range(2):
        queue.enqueue(NewTask(id=str(uuid.uuid4()), type="echo"))
    attempt = queue.claim("w1")
    assert attempt
    return attempt.id


def test_every_queue_is_listed_with_its_counts(api: TestClient, busy: str) -> None:
    default, mail = api.simulate_get("/queues").json

    none = {"scheduled": 0, "pending": 0, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert (default["queue"], default["workers"]) == ("default", 1)
    assert default["counts"] == {**none, "pending": 1, "processing": 1}
    assert 0 <= default["oldest_wait_s"] < 60
    assert mail.pop("rates").keys() == {"in", "out"}
    assert mail == {"queue": "mail", "counts": {**none, "scheduled": 1}, "workers": 0}


def test_one_queue_is_shown_as_in_the_list(api: TestClient, busy: str) -> None:
    assert api.simulate_get("/queues/mail").json == api.simulate_get("/queues").json[1]


def test_a_queue_that_nobody_used_is_not_found(api: TestClient, busy: str) -> None:
    answer = api.simulate_get("/queues/nobody")

    assert (answer.status_code, answer.json["error"]) == (404, "queue not found")


def test_every_worker_is_listed_with_what_it_holds(api: TestClient, busy: str) -> None:
    (worker,) = api.simulate_get("/workers").json

    assert 0 < worker.pop("lease_s") <= 60
    started_at = api.simulate_get(f"/tasks/{busy}").json["started_at"]
    assert worker.pop("runs") == {"task_id": busy, "type": "echo", "attempt": 1, "since": started_at}
    assert worker == {
        "id": "w1",
        "queue": "default",
        "host": "h1",
        "pool": "default",
        "pid": 7,
        "resident_bytes": 4096,
        "task_ids": [busy],
    }


def test_a_worker_has_the_size_of_its_last_heartbeat(api: TestClient, busy: str, inspector: Inspector) -> None:
    inspector.queue("default").extend({"w1": 5 * MIB}, LEASE_S, PAUSE_S)

    assert api.simulate_get("/workers").json[0]["resident_bytes"] == 5 * MIB
    assert api.simulate_get("/workers/w1").json["resident_bytes"] == 5 * MIB


def test_one_worker_is_shown_and_an_unknown_one_is_not_found(api: TestClient, busy: str) -> None:
    shown = api.simulate_get("/workers/w1").json
    assert (shown["task_ids"], shown["runs"]["task_id"]) == ([busy], busy)

    answer = api.simulate_get("/workers/w2")
    assert (answer.status_code, answer.json["error"]) == (404, "worker not found")


def test_a_worker_that_runs_nothing_says_nothing_of_it(api: TestClient, busy: str, inspector: Inspector) -> None:
    inspector.queue("mail").join("w2", 60, INFO)
    inspector.queue("default").link.redis.hdel(inspector.queue("default").keys.task(busy), "started_at")

    assert [("runs" in worker, worker["task_ids"]) for worker in api.simulate_get("/workers").json] == [
        (False, [busy]),
        (False, []),
    ]


def test_a_service_that_reaches_redis_is_healthy(api: TestClient) -> None:
    assert api.simulate_get("/health").json == {"status": "ok"}
    ready = api.simulate_get("/health/ready")
    assert (ready.status_code, ready.json["status"]) == (200, "ok")
    assert "append-only file" in ready.json["warnings"][0]


def test_without_redis_health_says_so_and_a_post_says_when_to_come_back(tmp_path: Path) -> None:
    link = Link(f"unix://{tmp_path}/nobody.sock", patience_s=0.1)
    api = TestClient(create_app(ApiContext(inspector=Inspector(link))))

    health = api.simulate_get("/health")
    post = api.simulate_post("/tasks", json={"type": "echo"})

    assert health.status_code == 503
    assert health.json == {"status": "unavailable", "error": "Redis is not reachable; try again later"}
    assert (post.status_code, post.json["code"]) == (503, "queue_unavailable")
    assert int(post.headers["retry-after"]) > 0
    assert str(tmp_path) not in health.text + post.text
    assert api.simulate_get("/health/live").status_code == 200
    link.close()
