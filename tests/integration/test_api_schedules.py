"""Schedules over HTTP: what they show, pause, resume and run now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Firing, Schedules
from taskq.schedule import task_id
from tests.integration.steps import claim, joined, now_ms, record, schedule, snapshot

NIGHTLY = schedule(cron="30 2 * * *", timezone="Europe/Berlin", type="report", payload='{"days":1}', max_retry=5)


@pytest.fixture
def schedules(inspector: Inspector) -> Schedules:
    found = Schedules(inspector)
    found.publish([NIGHTLY], forget=False)
    return found


def test_a_schedule_shows_itself_and_its_next_five_runs(api: TestClient, schedules: Schedules) -> None:
    (shown,) = api.simulate_get("/schedules").json

    runs = [datetime.fromisoformat(run) for run in shown.pop("next_runs")]
    assert shown == {
        "name": "nightly",
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "type": "report",
        "payload": {"days": 1},
        "queue": "default",
        "priority": "normal",
        "overlap": "allow",
        "catch_up": "none",
        "enabled": True,
    }
    assert len(runs) == 5
    assert datetime.now(UTC) < runs[0] < datetime.now(UTC) + timedelta(days=1, hours=2)
    assert runs == sorted(set(runs))


def test_one_schedule_is_shown_as_in_the_list(api: TestClient, schedules: Schedules) -> None:
    assert [api.simulate_get("/schedules/nightly").json] == api.simulate_get("/schedules").json


def test_without_schedules_the_list_is_empty(api: TestClient) -> None:
    assert api.simulate_get("/schedules").json == []


def test_the_last_run_and_the_last_skip_are_shown(api: TestClient, schedules: Schedules, queue: Queue) -> None:
    each = schedule("nightly", overlap="skip")
    for tick_ms in (1000, 61_000):
        schedules.fire(each, tick_ms, each.task(task_id(schedules.prefix, "nightly", tick_ms)))

    shown = api.simulate_get("/schedules/nightly").json

    assert shown["last_run"]["task_id"] == task_id(schedules.prefix, "nightly", 1000)
    assert shown["last_run"]["due_at"] == "1970-01-01T00:00:01.000Z"
    assert re.fullmatch(r"20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z", shown["last_run"]["at"])
    assert shown["skipped_at"] == "1970-01-01T00:01:01.000Z"


def test_a_paused_schedule_has_no_next_runs_until_it_is_resumed(api: TestClient, schedules: Schedules) -> None:
    paused = api.simulate_post("/schedules/nightly/pause", json={"reason": "holidays"})

    assert paused.status_code == 200
    assert paused.json["paused"]["reason"] == "holidays"
    assert paused.json["next_runs"] == []
    assert schedules.fire(NIGHTLY, 1000, NIGHTLY.task(task_id("x", "nightly", 1000))) is Firing.PAUSED

    resumed = api.simulate_post("/schedules/nightly/resume")

    assert resumed.status_code == 200
    assert "paused" not in resumed.json
    assert len(resumed.json["next_runs"]) == 5


def test_a_disabled_schedule_has_no_next_runs(api: TestClient, schedules: Schedules) -> None:
    schedules.publish([schedule(enabled=False)], forget=False)

    shown = api.simulate_get("/schedules/nightly").json

    assert (shown["enabled"], shown["next_runs"]) == (False, [])


def test_a_run_by_hand_answers_the_task_and_is_the_last_run(api: TestClient, schedules: Schedules, queue: Queue) -> None:
    schedules.pause(NIGHTLY)

    answer = api.simulate_post("/schedules/nightly/run")

    task = answer.json
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/tasks/{task['id']}"
    assert (task["type"], task["payload"], task["max_retry"], task["status"]) == ("report", {"days": 1}, 5, "pending")
    assert api.simulate_get("/schedules/nightly").json["last_run"]["task_id"] == task["id"]
    assert claim(queue, joined(queue)).id == task["id"]
    assert abs(int(record(queue, task["id"])["created_at"]) - now_ms(queue)) < 5_000


def test_nothing_is_run_during_a_drain(inspector: Inspector, schedules: Schedules, queue: Queue) -> None:
    api = TestClient(create_app(ApiContext(inspector=inspector, draining=lambda: True)))
    before = snapshot(queue)

    answer = api.simulate_post("/schedules/nightly/run")

    assert (answer.status_code, answer.json["code"]) == (503, "shutting_down")
    assert snapshot(queue) == before


@pytest.mark.parametrize(("method", "action"), [("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")])
def test_a_schedule_that_nobody_has_is_not_found(
    api: TestClient, schedules: Schedules, queue: Queue, method: str, action: str
) -> None:
    before = snapshot(queue)

    answer = api.simulate_request(method, f"/schedules/hourly{action}")

    assert (answer.status_code, answer.json["code"], answer.json["error"]) == (
        404,
        "schedule_not_found",
        "schedule not found",
    )
    assert snapshot(queue) == before


def test_a_reason_that_is_no_short_text_is_refused(api: TestClient, schedules: Schedules) -> None:
    answer = api.simulate_post("/schedules/nightly/pause", json={"reason": 7})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/reason")
