"""Limits, cancellation and what tasks leave behind."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


@pytest.fixture
def running(start_service: StartService) -> Service:
    return start_service({"pools": {"default": {"workers": 1}}, "tasks": {"kill_grace": 0.5}}, handlers=True)


def run(service: Service, type_: str, **payload: object) -> dict[str, object]:
    """Post a task and wait for its end."""
    task = service.post("/tasks", {"type": type_, "payload": payload}).body
    return service.wait_task(task["id"])


@pytest.mark.parametrize("type_", ["stubborn", "holds.gil", "regex"])
def test_a_time_limit_stops_any_code(running: Service, type_: str) -> None:
    ended = run(running, type_)

    assert (ended["status"], ended["crashes"]) == ("failed", 0)
    assert ended["error_detail"]["kind"] == "timeout"  # type: ignore[index]
    assert "timed out after 0.5 s" in str(ended["error"])
    assert run(running, "nap")["status"] == "completed"


def test_a_handler_can_clean_up_at_its_time_limit(running: Service) -> None:
    path = running.directory / "proof"

    ended = run(running, "tidy", path=str(path))

    assert ended["error_detail"]["kind"] == "timeout"  # type: ignore[index]
    assert path.read_text() == "tidied"


def test_a_memory_limit_stops_a_task_and_tells_the_peak(running: Service) -> None:
    ended = run(running, "hog")

    detail = ended["error_detail"]
    assert isinstance(detail, dict)
    assert (ended["status"], detail["kind"]) == ("failed", "memory")
    assert detail["peak_rss_bytes"] > 120 << 20
    assert running.children("maintenance")


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_running_task_is_stopped_for_certain(running: Service, how: str) -> None:
    task = running.post("/tasks", {"type": "holds.gil", "timeout": "10m"}).body
    running.wait_task(task["id"], "processing")

    if how == "cancel":
        answer = running.post(f"/tasks/{task['id']}/cancel", {"reason": "not needed"})
        assert (answer.status, answer.body["status"]) == (202, "cancelled")
    else:
        assert running.delete(f"/tasks/{task['id']}").status == 204

    assert run(running, "nap")["status"] == "completed"
    left = running.get(f"/tasks/{task['id']}")
    assert (left.status, left.body.get("status")) == ((200, "cancelled") if how == "cancel" else (404, 404))
    assert "result" not in left.body


def test_the_next_task_does_not_meet_what_the_last_one_changed(running: Service) -> None:
    before = run(running, "look")["result"]
    pid = run(running, "litter")["result"]
    after = run(running, "look")["result"]

    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["pid"] == before["pid"] == pid
    assert {**after, "random": 0} == {**before, "random": 0}


@pytest.mark.parametrize("type_", ["threads", "close.all", "open.many"])
def test_a_worker_that_cannot_be_restored_is_replaced(running: Service, type_: str) -> None:
    pid = run(running, type_)["result"]

    after = run(running, "look")["result"]

    assert isinstance(after, dict)
    assert after["pid"] != pid
    assert "signal" not in running.wait_line("worker.exited", pid=pid)  # it ended by itself, and at once


@pytest.mark.parametrize("type_", ["end.children", "isolated.end.children"])
def test_what_a_task_has_started_ends_when_it_is_asked_to_and_the_worker_goes_on(running: Service, type_: str) -> None:
    task = run(running, type_)

    assert task["result"] == [-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP] + [-signal.SIGTERM] * 20
    assert (task["attempt"], task["crashes"]) == (1, 0)
    assert not running.lines("worker.exited")


def test_the_helpers_of_multiprocessing_end_with_the_task_and_start_anew_with_the_next(running: Service) -> None:
    first, second = (run(running, "helpers") for _ in range(2))

    assert first["status"] == second["status"] == "completed", second
    assert first["result"] == second["result"]  # in one worker
    assert running.get(f"/tasks/{second['id']}/logs").body["text"] == ""


def test_files_that_a_task_opens_in_place_of_ours_are_not_touched(running: Service) -> None:
    path = running.directory / "precious"
    path.write_text("precious")

    pid = run(running, "take.over", path=str(path))["result"]

    after = run(running, "look")["result"]
    assert isinstance(after, dict)
    assert after["pid"] != pid
    assert path.read_text() == "precious"


def test_programs_that_outlive_their_task_are_ended(running: Service) -> None:
    pids = run(running, "spawn")["result"]

    assert isinstance(pids, list)
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 10, "both programs end")


def test_a_worker_is_renewed_after_so_many_tasks(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1, "max_tasks": 2}}}, handlers=True)

    pids = [run(service, "look")["result"]["pid"] for _ in range(4)]  # type: ignore[index]

    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_log_lines_about_a_task_carry_task_and_worker(running: Service) -> None:
    ended = run(running, "nap")

    lines = [line for line in running.lines() if line.get("task_id") == ended["id"]]
    assert {line["event"] for line in lines} >= {"task.enqueued", "task.started", "task.completed"}
    assert all(line["worker_id"] for line in lines)


def test_process_titles_tell_who_is_who(running: Service) -> None:
    titles = {" ".join(process.cmdline()).strip() for process in running.session()}

    assert {"taskq: supervisor", "taskq: maintenance", "taskq: warden", "taskq: api 1"} <= titles
    assert Path(running.directory / ".taskq").is_dir()
