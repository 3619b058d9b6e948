"""Deaths of every process: what was accepted is done all the same."""

from __future__ import annotations

import os
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
    return start_service({"pools": {"default": {"workers": 2}}}, handlers=True)


def worker_of(service: Service, task_id: str) -> psutil.Process:
    """The worker process that runs a task, by its title."""
    found = wait_until(
        lambda: [p for p in service.children("worker") if task_id in " ".join(p.cmdline())],
        10,
        "a worker's title names the task",
    )
    return found[0]


def test_a_task_whose_worker_is_killed_runs_again_and_completes(running: Service) -> None:
    task = running.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    other = running.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    running.wait_task(other["id"], "processing")

    worker_of(running, task["id"]).kill()

    died = running.wait_line("worker.exited", task_id=task["id"])
    assert (died["signal"], died["cause"]) == ("SIGKILL", "crash")
    assert running.wait_line("worker.replaced", replaces=died["worker_id"])
    ended = running.wait_task(task["id"])
    assert (ended["status"], ended["attempt"], ended["crashes"], ended["retries"]) == ("completed", 2, 1, 0)
    assert ended["result"]["attempt"] == 2
    assert running.wait_task(other["id"])["attempt"] == 1


def test_a_poison_task_fails_after_three_crashes_with_its_cause(running: Service) -> None:
    task = running.post("/tasks", {"type": "die", "payload": {"number": int(signal.SIGSEGV)}}).body

    ended = running.wait_task(task["id"])

    assert (ended["status"], ended["crashes"], ended["attempt"], ended["retries"]) == ("failed", 3, 3, 0)
    assert ended["error_detail"]["kind"] == "crash"
    assert ended["error_detail"]["signal"] == "SIGSEGV"
    assert "SIGSEGV" in ended["error"]


def test_a_crash_tells_the_peak_of_its_memory_and_who_may_have_killed(running: Service) -> None:
    task = running.post("/tasks", {"type": "swell.and.die", "payload": {"megabytes": 150, "seconds": 1.2}}).body

    ended = running.wait_task(task["id"], limit_s=30)

    detail = ended["error_detail"]
    assert (detail["kind"], detail["signal"]) == ("crash", "SIGKILL")
    assert 150 << 20 < detail["peak_rss_bytes"] < 400 << 20
    assert "perhaps by the kernel for want of memory" in ended["error"]


def test_an_exit_of_the_process_inside_a_task_is_a_crash_with_its_code(running: Service) -> None:
    task = running.post("/tasks", {"type": "exit", "payload": {"code": 5}}).body

    ended = running.wait_task(task["id"])

    assert (ended["error_detail"]["kind"], ended["error_detail"]["exit_code"]) == ("crash", 5)


@pytest.mark.parametrize(("type_", "name"), [("sys.exit", "SystemExit"), ("interrupt", "KeyboardInterrupt")])
def test_an_exception_that_is_no_exception_fails_the_attempt_and_the_worker_lives(
    running: Service, type_: str, name: str
) -> None:
    wait_until(lambda: len(running.lines("worker.started")) == 2, 10, "both workers are ready")
    before = {p.pid for p in running.children("worker")}
    task = running.post("/tasks", {"type": type_}).body

    ended = running.wait_task(task["id"])

    assert (ended["status"], ended["error_detail"]["type"]) == ("failed", name)
    assert {p.pid for p in running.children("worker")} == before


@pytest.mark.parametrize("title", ["maintenance", "api", "warden"])
def test_a_killed_helper_process_is_replaced_and_nothing_is_lost(running: Service, title: str) -> None:
    task = running.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    delayed = running.post("/tasks", {"type": "nap", "delay": 1}).body
    victim = running.children(title)[0]

    victim.kill()

    assert wait_until(lambda: [p for p in running.children(title) if p.pid != victim.pid], 10, f"a new {title}")
    wait_until(running.healthy, 10, "the API answers again")
    assert running.wait_task(task["id"])["status"] == "completed"
    assert running.wait_task(delayed["id"])["status"] == "completed"


def test_a_killed_embedded_server_is_restarted_and_running_tasks_settle(running: Service) -> None:
    task = running.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    running.wait_task(task["id"], "processing")

    os.kill(running.lines("broker.started")[-1]["pid"], signal.SIGKILL)

    wait_until(lambda: len(running.lines("broker.started")) == 2, 10, "the server is started again")
    wait_until(running.healthy, 10, "the API reaches it")
    ended = running.wait_task(task["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 1)


def test_nothing_outlives_a_killed_supervisor_and_a_restart_completes_everything(running: Service) -> None:
    running.post("/tasks", {"type": "spawn", "payload": {"seconds": 600}})
    grandchildren = wait_until(
        lambda: Path(f"{running.note_file}.pids").read_text().split() if Path(f"{running.note_file}.pids").exists() else [],
        10,
        "programs run",
    )
    tasks = [running.post("/tasks", {"type": "nap", "payload": {"seconds": 0.2}}).body for _ in range(8)]

    running.kill()

    wait_until(lambda: not any(_runs(int(pid)) for pid in grandchildren), 10, "programs of tasks end too")
    running.start({"pools": {"default": {"workers": 3}}}, handlers=True).wait_ready()
    for task in tasks:
        assert running.wait_task(task["id"])["status"] == "completed"


def test_a_silent_worker_loses_its_task_to_another_one_and_writes_nothing(start_service: StartService) -> None:
    leases = {"heartbeat": 0.2, "lease": 0.8, "reap": 0.2}
    service = start_service({"pools": {"default": {"workers": 2}}, "leases": leases}, handlers=True)
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 0.5}}).body
    worker = worker_of(service, task["id"])

    worker.suspend()

    ended = service.wait_task(task["id"])
    assert (ended["status"], ended["attempt"], ended["crashes"]) == ("completed", 2, 1)
    assert ended["result"]["attempt"] == 2
    wait_until(lambda: not _runs(worker.pid), 10, "a worker whose lease has lapsed is killed and replaced")
    assert service.get(f"/tasks/{task['id']}").body["result"]["attempt"] == 2


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
