"""When attempts happen, as seen from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


def starts(service: Service, task_id: str) -> list[float]:
    """The wall-clock moments at which the attempts of a task began."""
    lines = (line.split() for line in service.notes())
    return [float(at) for word, subject, _, at, _ in lines if word == "start" and subject == task_id]


@pytest.fixture
def running(start_service: StartService) -> Service:
    return start_service(handlers=True)


def test_a_task_that_always_fails_runs_at_0_1_3_and_7_seconds_and_then_is_failed(running: Service) -> None:
    task = running.post("/tasks", {"type": "bad"}).body
    waiting = running.wait_task(task["id"], "scheduled")
    assert waiting["error"] == "always"

    ended = running.wait_task(task["id"])

    first, *others = starts(running, task["id"])
    assert [round(at - first) for at in others] == [1, 3, 7]
    assert (ended["status"], ended["retries"], ended["attempt"], ended["error"]) == ("failed", 3, 4, "always")
    assert ended["error_detail"]["kind"] == "exception"
    assert ended["error_detail"]["type"] == "ValueError"


def test_waiting_for_a_retry_occupies_no_worker(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    failing = service.post("/tasks", {"type": "bad"}).body
    service.wait_task(failing["id"], "scheduled")

    other = service.post("/tasks", {"type": "echo", "payload": "x"}).body

    assert service.wait_task(other["id"])["result"] == "echo: x"
    assert service.get(f"/tasks/{failing['id']}").body["status"] == "scheduled"


def test_max_retry_of_the_post_counts(running: Service) -> None:
    task = running.post("/tasks", {"type": "bad", "max_retry": 0}).body

    ended = running.wait_task(task["id"])

    assert (ended["status"], ended["retries"], ended["attempt"]) == ("failed", 0, 1)


def test_a_handler_may_choose_its_wait_or_give_up(running: Service) -> None:
    soon = running.post("/tasks", {"type": "retry.soon"}).body
    never = running.post("/tasks", {"type": "give.up"}).body

    assert running.wait_task(soon["id"])["result"] == 2
    ended = running.wait_task(never["id"])
    assert (ended["status"], ended["retries"], ended["error"]) == ("failed", 0, "no use")


def test_a_delayed_task_starts_when_it_is_due(running: Service) -> None:
    task = running.post("/tasks", {"type": "nap", "delay": "500ms"}).body
    assert task["status"] == "scheduled"

    running.wait_task(task["id"], "completed")

    log = running.wait_line("task.started", task_id=task["id"])
    assert log["worker_id"]
    assert starts(running, task["id"])


def test_an_unknown_type_is_refused_with_those_that_the_workers_serve(running: Service) -> None:
    running.wait_line("worker.started")

    answer = running.post("/tasks", {"type": "no.such"})

    assert (answer.status, answer.body["error"]) == (422, "unknown task type: no.such")
    assert {"echo", "nap"} <= set(answer.body["known_types"])
