"""Pause, resume and purge over HTTP."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from falcon.testing import TestClient

from taskq.queue.queue import Queue
from taskq.task import NewTask
from tests.integration.steps import claim, enqueued, joined, snapshot


def test_a_paused_queue_says_since_when_and_why_until_it_is_resumed(api: TestClient, queue: Queue) -> None:
    task_id = enqueued(queue)

    paused = api.simulate_post("/queues/default/pause", json={"reason": "deploy"})

    assert paused.status_code == 200
    assert paused.json["paused"]["reason"] == "deploy"
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z", paused.json["paused"]["since"])
    assert paused.json == api.simulate_get("/queues/default").json | {"oldest_wait_s": paused.json["oldest_wait_s"]}
    assert paused.json["counts"]["pending"] == 1
    worker = joined(queue)
    assert queue.claim(worker) is None

    resumed = api.simulate_post("/queues/default/resume")

    assert resumed.status_code == 200
    assert "paused" not in resumed.json
    assert claim(queue, worker).id == task_id


def test_a_pause_needs_no_reason_and_a_post_is_still_taken(api: TestClient, queue: Queue) -> None:
    enqueued(queue)

    paused = api.simulate_post("/queues/default/pause").json["paused"]
    posted = api.simulate_post("/tasks", json={"type": "echo"})

    assert list(paused) == ["since"]
    assert (posted.status_code, posted.json["status"]) == (201, "pending")
    assert queue.claim(joined(queue)) is None


def test_a_resume_of_a_queue_that_is_not_paused_is_harmless(api: TestClient, queue: Queue) -> None:
    enqueued(queue)
    before = snapshot(queue)

    assert api.simulate_post("/queues/default/resume").status_code == 200

    assert snapshot(queue) == before


def test_a_purge_answers_how_many_tasks_it_removed(api: TestClient, queue: Queue) -> None:
    queue.enqueue_many([NewTask(id=str(uuid.uuid4()), type="echo", delay_s=delay_s) for delay_s in (0, 0, 60)])

    purged = api.simulate_post("/queues/default/purge")

    assert (purged.status_code, purged.json) == (200, {"queue": "default", "purged": 3})
    assert api.simulate_get("/tasks").json == []


@pytest.mark.parametrize("action", ["pause", "resume", "purge"])
def test_a_queue_that_nobody_used_is_not_found_and_not_made(api: TestClient, queue: Queue, action: str) -> None:
    answer = api.simulate_post(f"/queues/nobody/{action}")

    assert (answer.status_code, answer.json["code"]) == (404, "queue_not_found")
    assert snapshot(queue) == {}


@pytest.mark.parametrize("reason", [7, "x" * 501, ["a"]])
def test_a_reason_that_is_no_short_text_is_refused_and_nothing_paused(api: TestClient, queue: Queue, reason: object) -> None:
    enqueued(queue)

    answer = api.simulate_post("/queues/default/pause", body=json.dumps({"reason": reason}))

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/reason")
    assert "paused" not in api.simulate_get("/queues/default").json
