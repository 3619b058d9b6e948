"""Stopping: what runs may end, what waits stays, and nothing hangs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.faultproxy import RealServer
from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_completes_what_runs_and_keeps_what_waits(start_service: StartService, number: signal.Signals) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    running, waiting = (service.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body for _ in range(2))
    service.wait_line("task.started", task_id=running["id"])  # one that was claimed and not begun is given back

    assert service.terminate(number) == 0

    assert service.lines("task.completed", task_id=running["id"])
    assert not service.lines("task.started", task_id=waiting["id"])
    assert not service.session()
    service.start({"pools": {"default": {"workers": 0}}}, handlers=True).wait_ready()
    assert service.get(f"/tasks/{running['id']}").body["status"] == "completed"
    assert service.get(f"/tasks/{waiting['id']}").body["status"] == "pending"


def test_during_a_drain_posts_are_refused_and_gets_are_answered(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 2}}).body
    service.wait_task(task["id"], "processing")
    os.kill(service.pid, signal.SIGTERM)
    service.wait_line("supervisor.draining")

    refused = service.post("/tasks", {"type": "echo"})
    shown = service.get(f"/tasks/{task['id']}")

    assert (refused.status, refused.body["error"]) == (503, "the service is shutting down")
    assert int(refused.headers["Retry-After"]) > 0
    assert (shown.status, shown.body["status"]) == (200, "processing")
    assert service.get("/health/ready").status == 503
    assert service.wait_exit() == 0


def test_a_task_that_outlasts_the_drain_is_released_uncounted(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1, "drain": 0.5}}}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 600}}).body
    service.wait_task(task["id"], "processing")

    assert service.terminate() == 0

    assert service.lines("task.released", task_id=task["id"])
    service.start({"pools": {"default": {"workers": 0}}}, handlers=True).wait_ready()
    found = service.get(f"/tasks/{task['id']}").body
    assert (found["status"], found["retries"], found["crashes"], found["attempt"]) == ("pending", 0, 0, 1)


def test_a_task_that_cannot_be_interrupted_is_killed_and_released_at_the_end_of_a_drain(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1, "drain": 0.2}}}, handlers=True)
    task = service.post("/tasks", {"type": "holds.gil", "timeout": "10m"}).body
    service.wait_task(task["id"], "processing")

    assert service.terminate() == 0

    assert service.lines("task.released", task_id=task["id"])
    service.start({"pools": {"default": {"workers": 0}}}, handlers=True).wait_ready()
    found = service.get(f"/tasks/{task['id']}").body
    assert (found["status"], found["crashes"]) == ("pending", 0)


def test_a_second_signal_stops_at_once(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1, "drain": "10m"}}}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 600}}).body
    service.wait_task(task["id"], "processing")
    os.kill(service.pid, signal.SIGTERM)
    service.wait_line("supervisor.draining")

    assert service.terminate() == 0
    assert service.lines("task.released", task_id=task["id"])


def test_a_signal_to_the_whole_group_is_a_drain(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    service.wait_task(task["id"], "processing")

    for process in service.session():
        if process.pid != service.pid and "valkey" not in process.name():
            process.send_signal(signal.SIGTERM)
    assert service.terminate() == 0

    assert service.lines("task.completed", task_id=task["id"])


def test_a_stop_while_redis_is_away_does_not_hang(service: Service) -> None:
    service.start({"redis": {"url": "redis://127.0.0.1:1/0"}})
    service.wait_line("queue.unavailable")

    assert service.terminate() == 0


def test_idle_workers_do_not_wait_for_a_redis_that_has_gone_first(service: Service) -> None:
    with RealServer() as server:
        service.start({"redis": {"url": server.url}, "pools": {"default": {"workers": 2, "drain": "10m"}}}).wait_ready()
        wait_until(lambda: len(service.lines("worker.started")) == 2, 10, "both workers are ready")
        server.kill()
        service.wait_line("queue.unavailable", process="worker")

        assert service.terminate() == 0


def test_a_reload_takes_over_new_settings_and_loses_nothing(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    service.wait_task(task["id"], "processing")

    service.configure({"pools": {"default": {"workers": 3, "prefetch": 16}}}, handlers=True)
    os.kill(service.pid, signal.SIGHUP)

    service.wait_line("supervisor.reloaded")
    assert "prefetch takes a restart" in service.wait_line("supervisor.refused")["message"]
    wait_until(lambda: len(service.children("worker")) == 3, 10, "three workers")
    ended = service.wait_task(task["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 1)


def test_what_takes_a_restart_stays_through_a_reload(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    new = {"redis": {"prefix": "other"}, "api": {"processes": 3}, "tasks": {"import": [], "builtin": False}}
    service.configure({"pools": {"default": {"workers": 2}}, **new})

    os.kill(service.pid, signal.SIGHUP)

    service.wait_line("supervisor.reloaded")
    wait_until(lambda: len(service.get("/workers").body) == 2, 10, "the new worker is known under the old prefix")
    task = service.post("/tasks", {"type": "nap"}).body
    assert service.wait_task(task["id"])["status"] == "completed"
    wait_until(lambda: len(service.children("api")) == 1, 10, "one API process as before")


def test_a_reload_with_faults_is_refused_and_the_old_configuration_stays(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}})
    service.configure({"pools": {"default": {"workers": "many"}}})

    os.kill(service.pid, signal.SIGHUP)

    assert "pools.default.workers" in service.wait_line("supervisor.refused")["message"]
    task = service.post("/tasks", {"type": "echo", "payload": "x"}).body
    assert service.wait_task(task["id"])["status"] == "completed"


def test_one_worker_more_and_one_fewer_by_signal(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}})

    os.kill(service.pid, signal.SIGTTIN)
    wait_until(lambda: len(service.children("worker")) == 2, 10, "two workers")
    os.kill(service.pid, signal.SIGTTOU)
    wait_until(lambda: len(service.children("worker")) == 1, 10, "one worker")
