"""What a running task says about its progress, as those see it who look at the task."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


@pytest.fixture
def running(start_service: StartService) -> Service:
    return start_service({"pools": {"default": {"workers": 1}}, "tasks": {"max_crashes": 1}}, handlers=True)


def progress_of(service: Service, task_id: str) -> dict[str, Any] | None:
    shown: dict[str, Any] | None = service.get(f"/tasks/{task_id}").body.get("progress")
    return shown


def test_the_last_word_is_seen_within_a_second_also_when_nothing_else_can_run(running: Service) -> None:
    task = running.post("/tasks", {"type": "tell.then.hold", "payload": {"seconds": 4}}).body
    running.wait_task(task["id"], "processing")

    last = {"done": 100, "total": 100, "message": "step 100"}
    wait_until(lambda: progress_of(running, task["id"]) == last, 1.5, "the last of a hundred words is shown")
    assert running.get(f"/tasks/{task['id']}").body["status"] == "processing"
    assert running.wait_task(task["id"])["progress"] == last


def test_the_last_word_before_a_quick_end_is_not_lost(running: Service) -> None:
    task = running.post("/tasks", {"type": "tell.then.hold", "payload": {"seconds": 0}}).body

    assert running.wait_task(task["id"])["progress"] == {"done": 100, "total": 100, "message": "step 100"}


def test_a_crash_is_told_with_the_last_word_before_it(running: Service) -> None:
    task = running.post("/tasks", {"type": "tell.and.die"}).body

    ended = running.wait_task(task["id"])
    assert (ended["status"], ended["progress"]) == ("failed", {"done": 7, "total": 9, "message": "about to die"})


def test_progress_waits_for_no_redis(running: Service) -> None:
    broker = running.lines("broker.started")[-1]["pid"]
    task = running.post("/tasks", {"type": "tell.then.hold", "payload": {"seconds": 0}}).body
    running.wait_task(task["id"])
    task = running.post("/tasks", {"type": "tell.slowly", "payload": {"seconds": 2}}).body
    running.wait_task(task["id"], "processing")

    os.kill(broker, signal.SIGSTOP)
    try:
        wait_until(lambda: "told" in " ".join(running.notes()), 5, "the handler ends while Redis is silent")
    finally:
        os.kill(broker, signal.SIGCONT)

    assert running.wait_task(task["id"])["status"] == "completed"


def test_a_handler_that_cleans_up_knows_that_it_was_cancelled(running: Service) -> None:
    task = running.post("/tasks", {"type": "tell.while.stopping"}).body
    running.wait_task(task["id"], "processing")

    running.post(f"/tasks/{task['id']}/cancel")

    wait_until(lambda: [n for n in running.notes() if n.startswith("cancelled=True")], 5, "the handler saw it")
