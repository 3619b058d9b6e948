"""Schedules in the running service: each tick once, on however many machines, whoever of them dies, and across reloads."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.schedule import task_id
from tests.integration.servers import OwnServer, own_server
from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

EVERY_SECOND = {"cron": "* * * * * *", "type": "nap"}


@pytest.fixture
def redis() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


def config(redis: OwnServer, **schedules: dict[str, Any]) -> dict[str, Any]:
    return {
        "redis": {"url": redis.url},
        "pools": {"default": {"workers": 1}},
        "schedules": schedules,
        "leases": {"heartbeat": "500ms", "lease": "2s", "reap": "500ms"},
    }


def ticks_run(redis: OwnServer, name: str) -> list[int]:
    """The seconds at which a schedule was to tick since its first task, of which each must have one task."""
    link = Link(redis.url)
    inspector = Inspector(link)
    stored = {task.id: task.created_at_ms for task in inspector.page(limit=500).tasks}
    link.close()
    first, last = min(stored.values()) // 1000 - 3, max(stored.values()) // 1000
    return [second for second in range(first, last + 1) if task_id("taskq", name, second * 1000) in stored]


def tasks(service: Service) -> int:
    return len(service.get("/tasks?limit=500").body)


def test_two_machines_fire_each_tick_once_and_the_survivor_goes_on_when_one_is_killed(
    start_service: StartService, redis: OwnServer
) -> None:
    one, two = (start_service(config(redis, often=EVERY_SECOND), handlers=True) for _ in range(2))
    wait_until(lambda: one.lines("schedule.fired") or two.lines("schedule.fired"), 10, "a first tick")
    wait_until(lambda: tasks(two) >= 3, 10, "three ticks")

    one.kill()
    before = tasks(two)
    wait_until(lambda: tasks(two) >= before + 4, 15, "the other machine goes on")

    found = ticks_run(redis, "often")
    assert found == list(range(found[0], found[-1] + 1))  # none is left out
    assert tasks(two) - len(found) <= 1  # none twice; one may have come in since
    assert len({line["task_id"] for line in [*one.lines("schedule.fired"), *two.lines("schedule.fired")]}) >= len(found) - 1


def test_a_restart_of_maintenance_drops_no_tick(start_service: StartService, redis: OwnServer) -> None:
    service = start_service(config(redis, often=EVERY_SECOND), handlers=True)
    wait_until(lambda: tasks(service) >= 2, 10, "two ticks")

    for _ in range(2):
        (maintenance,) = service.children("maintenance")
        maintenance.kill()
        wait_until(lambda dead=maintenance: service.children("maintenance") not in ([], [dead]), 10, "another one")  # type: ignore[misc]
    before = tasks(service)
    wait_until(lambda: tasks(service) >= before + 3, 15, "it goes on")

    found = ticks_run(redis, "often")
    assert found == list(range(found[0], found[-1] + 1))


def test_a_reload_takes_over_changed_schedules(start_service: StartService, redis: OwnServer) -> None:
    service = start_service(config(redis, often=EVERY_SECOND, never={**EVERY_SECOND, "enabled": False}), handlers=True)
    wait_until(lambda: [each["name"] for each in service.get("/schedules").body] == ["never", "often"], 10, "both known")

    service.configure(config(redis, often={**EVERY_SECOND, "cron": "0 0 1 1 *"}, never=EVERY_SECOND), handlers=True)
    os.kill(service.pid, signal.SIGHUP)

    service.wait_line("supervisor.reloaded")
    wait_until(lambda: service.lines("schedule.fired", schedule="never"), 15, "the one that was enabled ticks")
    (often,) = [each for each in service.get("/schedules").body if each["name"] == "often"]
    assert often["cron"] == "0 0 1 1 *"
    assert all(run.endswith("-01-01T00:00:00Z") for run in often["next_runs"])


def test_a_bad_schedule_is_refused_and_the_old_ones_go_on(start_service: StartService, redis: OwnServer) -> None:
    service = start_service(config(redis, often=EVERY_SECOND), handlers=True)
    service.configure(config(redis, often={**EVERY_SECOND, "cron": "61 * * * *"}), handlers=True)

    os.kill(service.pid, signal.SIGHUP)

    assert "schedules.often.cron" in service.wait_line("supervisor.refused")["message"]
    before = tasks(service)
    wait_until(lambda: tasks(service) > before, 10, "it goes on")


def test_a_schedule_is_paused_resumed_and_run_over_http(start_service: StartService, redis: OwnServer) -> None:
    service = start_service(config(redis, often=EVERY_SECOND), handlers=True)
    wait_until(lambda: tasks(service) >= 1, 10, "a first tick")

    paused = service.post("/schedules/often/pause", {"reason": "holidays"}).body
    since = datetime.fromisoformat(paused["paused"]["since"]).timestamp()
    run = service.post("/schedules/often/run").body
    assert service.wait_task(run["id"])["status"] == "completed"
    wait_until(lambda: datetime.now().timestamp() > since + 2.5, 10, "two ticks have passed")
    assert max(line["due_ms"] for line in service.lines("schedule.fired")) <= since * 1000

    service.post("/schedules/often/resume")
    wait_until(lambda: max(line["due_ms"] for line in service.lines("schedule.fired")) > since * 1000, 10, "it ticks again")
