"""Attempts in processes of their own: the same results and limits, and a worker that nothing of it touches."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


@pytest.fixture
def running(start_service: StartService) -> Service:
    return start_service({"pools": {"default": {"workers": 1}}, "tasks": {"kill_grace": 0.5}}, handlers=True)


def run(service: Service, type_: str, **payload: object) -> dict[str, Any]:
    task = service.post("/tasks", {"type": type_, "payload": payload}).body
    return service.wait_task(task["id"], limit_s=60)


def worker_pid(service: Service) -> int:
    (worker,) = wait_until(lambda: service.children("worker"), 10, "the worker runs")
    return worker.pid


def test_every_attempt_has_a_fresh_process_below_the_same_worker(running: Service) -> None:
    worker = worker_pid(running)

    results = [run(running, "isolated.nap")["result"] for _ in range(3)]

    assert {result["worker"] for result in results} == {worker}
    assert len({result["pid"] for result in results} | {worker}) == 4


def test_progress_and_output_are_seen_as_everywhere(running: Service) -> None:
    task = running.post("/tasks", {"type": "isolated.nap", "payload": {"seconds": 3}}).body
    running.wait_task(task["id"], "processing")

    wait_until(lambda: "progress" in running.get(f"/tasks/{task['id']}").body, 1.5, "its progress is shown")
    wait_until(lambda: running.get(f"/tasks/{task['id']}/logs").body["text"] == "isolated\n", 1.5, "and its output")

    ended = running.wait_task(task["id"])
    assert ended["progress"] == {"done": 1, "total": 2, "message": "napping"}
    assert running.get(f"/tasks/{task['id']}/logs").body["text"] == "isolated\n"


def test_a_poison_task_uses_up_its_crashes_and_no_worker(running: Service) -> None:
    worker = worker_pid(running)

    ended = run(running, "isolated.die", number=int(signal.SIGSEGV))

    assert (ended["status"], ended["crashes"], ended["attempt"], ended["retries"]) == ("failed", 3, 3, 0)
    assert (ended["error_detail"]["kind"], ended["error_detail"]["signal"]) == ("crash", "SIGSEGV")
    assert ended["error_detail"]["peak_rss_bytes"] > 1 << 20
    assert running.get(f"/tasks/{ended['id']}/logs").body["text"].startswith("last words\n")
    assert len(running.lines("task.crashed", task_id=ended["id"])) == 2
    assert running.lines("task.failed", task_id=ended["id"], crashes=3)
    assert worker_pid(running) == worker
    assert not running.lines("worker.exited")


def test_a_time_limit_stops_any_isolated_code(running: Service) -> None:
    ended = run(running, "isolated.stubborn")

    assert (ended["status"], ended["crashes"], ended["error_detail"]["kind"]) == ("failed", 0, "timeout")
    assert run(running, "isolated.nap")["status"] == "completed"


def test_an_isolated_handler_can_clean_up_at_its_time_limit_and_its_worker_stays(running: Service) -> None:
    worker, path = worker_pid(running), running.directory / "proof"

    ended = run(running, "isolated.tidy", path=str(path))

    assert ended["error_detail"]["kind"] == "timeout"
    assert "timed out after 0.5 s" in ended["error"]
    assert path.read_text() == "tidied"
    assert worker_pid(running) == worker


def test_a_memory_limit_is_that_of_the_isolated_process(running: Service) -> None:
    ended = run(running, "isolated.hog")

    assert (ended["status"], ended["error_detail"]["kind"]) == ("failed", "memory")
    assert ended["error_detail"]["peak_rss_bytes"] > 120 << 20


def test_a_worker_shows_its_size_or_that_of_its_isolated_process(start_service: StartService) -> None:
    pools = {"default": {"workers": 2, "drain": 0.1}}
    running = start_service({"pools": pools, "leases": {"heartbeat": 0.5}}, handlers=True)
    types = {"swell.and.die", "isolated.swell.and.die"}
    before = wait_until(lambda: running.get("/workers").body, 10, "the workers are live")

    for type_ in types:
        running.post("/tasks", {"type": type_, "payload": {"megabytes": 100, "seconds": 60}})

    def large() -> set[str]:
        return {w["runs"]["type"] for w in running.get("/workers").body if w["resident_bytes"] > 100 << 20 and "runs" in w}

    assert all(1 << 20 < worker["resident_bytes"] < 100 << 20 for worker in before)
    wait_until(lambda: large() == types, 20, "both are seen to have grown")


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_an_isolated_task_is_stopped_for_certain(running: Service, how: str) -> None:
    task = running.post("/tasks", {"type": "isolated.nap", "payload": {"seconds": 60}}).body
    (note,) = wait_until(running.notes, 10, "it has begun")
    pid = int(note.split()[-1])

    if how == "cancel":
        running.post(f"/tasks/{task['id']}/cancel")
    else:
        running.delete(f"/tasks/{task['id']}")

    wait_until(lambda: not psutil.pid_exists(pid), 2.5, "its process has ended")
    assert run(running, "nap")["status"] == "completed"


def test_an_isolated_process_ends_with_its_worker(running: Service) -> None:
    running.post("/tasks", {"type": "isolated.nap", "payload": {"seconds": 60}})
    (note,) = wait_until(running.notes, 10, "it has begun")
    pid = int(note.split()[-1])

    os.kill(worker_pid(running), signal.SIGKILL)

    wait_until(lambda: not psutil.pid_exists(pid), 5, "its process has ended")


def test_a_drain_gives_an_isolated_task_back(start_service: StartService) -> None:
    running = start_service({"pools": {"default": {"workers": 1, "drain": 0.2}}}, handlers=True)
    task = running.post("/tasks", {"type": "isolated.nap", "payload": {"seconds": 60}}).body
    wait_until(running.notes, 10, "it has begun")

    assert running.terminate() == 0

    running.start({"pools": {"default": {"workers": 0}}}, handlers=True).wait_ready()
    left = running.get(f"/tasks/{task['id']}").body
    assert (left["status"], left["crashes"], left["retries"]) == ("pending", 0, 0)


def test_nothing_that_an_isolated_task_leaves_behind_touches_its_worker(running: Service) -> None:
    before = run(running, "look")["result"]
    size = psutil.Process(before["pid"]).memory_info().rss

    for _ in range(5):
        assert run(running, "isolated.leak")["status"] == "completed"

    after = run(running, "look")["result"]
    assert {**after, "random": 0} == {**before, "random": 0}
    assert psutil.Process(before["pid"]).memory_info().rss < size + (10 << 20)


def test_programs_that_an_isolated_task_leaves_are_ended(running: Service) -> None:
    pids = run(running, "isolated.spawn")["result"]

    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 10, "both programs end")
    assert Path(f"{running.note_file}.pids").exists()
