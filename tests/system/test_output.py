"""What tasks print and log, while they run, when they end and when they die."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

SPOKEN = (
    "by print",
    "to stderr",
    "by descriptor",
    "by C",
    "by a program",
    "WARNING somebody: by logging",
    "INFO taskq.task: by the context",
    "by a warning",
    "without an end",
)


@pytest.fixture
def running(start_service: StartService) -> Service:
    return start_service({"pools": {"default": {"workers": 1}}, "tasks": {"max_crashes": 1}}, handlers=True)


def logs(service: Service, task_id: str, query: str = "") -> dict[str, Any]:
    body: dict[str, Any] = service.get(f"/tasks/{task_id}/logs{query}").body
    return body


def run(service: Service, type_: str, **payload: object) -> dict[str, Any]:
    task = service.post("/tasks", {"type": type_, "payload": payload}).body
    return service.wait_task(task["id"], limit_s=120)


def test_whatever_speaks_is_heard_in_order_while_the_gil_is_held(running: Service) -> None:
    task = running.post("/tasks", {"type": "chatter", "payload": {"seconds": 4}}).body
    running.wait_task(task["id"], "processing")

    wait_until(lambda: SPOKEN[-1] in logs(running, task["id"])["text"], 1.5, "the last of it is shown")

    found = logs(running, task["id"])
    assert running.get(f"/tasks/{task['id']}").body["status"] == "processing"
    assert all(text in found["text"] for text in SPOKEN), found["text"]
    assert [found["text"].index(text) for text in SPOKEN] == sorted(found["text"].index(text) for text in SPOKEN)
    assert (found["attempt"], found["truncated"]) == (1, False)
    running.wait_task(task["id"])
    assert logs(running, task["id"]) == found


def test_a_quick_task_loses_nothing(running: Service) -> None:
    ended = run(running, "chatter")

    assert all(text in logs(running, ended["id"])["text"] for text in SPOKEN)


def test_the_log_of_the_service_bears_no_output_and_tells_whose_lines_it_has(running: Service) -> None:
    ended = run(running, "chatter")

    assert not [line for line in running.lines() if line["message"] == "by print"]  # and every line is JSON
    for event, message in (("somebody", "by logging"), ("taskq.task", "by the context")):
        (line,) = [line for line in running.lines(event) if line["message"] == message]
        assert (line["task_id"], line["attempt"], line["type"]) == (ended["id"], 1, "chatter")
        assert line["worker_id"] == ended["worker_id"]


def test_the_next_task_does_not_find_what_the_last_one_printed(running: Service) -> None:
    run(running, "chatter")

    second = run(running, "nap")

    assert logs(running, second["id"])["text"] == ""
    assert not running.lines("worker.recycled")


def test_every_attempt_has_its_own_output(running: Service) -> None:
    ended = run(running, "fail.aloud")

    assert logs(running, ended["id"])["attempts"] == [1, 2, 3]
    for attempt in (1, 2, 3):
        assert logs(running, ended["id"], f"?attempt={attempt}")["text"] == f"attempt {attempt}\n"


def used_bytes(service: Service) -> int:
    """Memory of all output files, whoever holds them."""
    found: dict[int, int] = {}
    for process in service.session():
        for link in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                if "taskq-output" in os.readlink(link):
                    status = link.stat()
                    found[status.st_ino] = status.st_blocks * 512
            except OSError:
                continue  # closed meanwhile
    return sum(found.values())


@pytest.mark.parametrize("type_", ["flood", "flood.below.gil"])
def test_gigabytes_without_an_end_of_line_neither_block_nor_fill_the_memory(running: Service, type_: str) -> None:
    task = running.post("/tasks", {"type": type_, "payload": {"megabytes": 4096}}).body
    most, deadline = 0, time.monotonic() + 100
    while running.get(f"/tasks/{task['id']}").body["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline
        most = max(most, used_bytes(running))

    ended = running.wait_task(task["id"])
    found = logs(running, task["id"])
    assert ended["status"] == "completed"
    assert found["truncated"]
    assert found["text"].rstrip().endswith("the end")
    assert len(found["text"]) <= 65_536
    print(f"at most {most >> 20} MiB")
    assert 0 < most < 512 << 20
    assert used_bytes(running) < 1 << 20


def test_a_flood_does_not_wait_for_a_stopped_maintenance_or_supervisor(running: Service) -> None:
    helpers = [running.pid, *(process.pid for process in running.children("maintenance"))]
    task = running.post("/tasks", {"type": "flood", "payload": {"megabytes": 200}}).body
    running.wait_task(task["id"], "processing", "completed")
    for pid in helpers:
        os.kill(pid, signal.SIGSTOP)
    try:
        ended = running.wait_task(task["id"])
    finally:
        for pid in helpers:
            os.kill(pid, signal.SIGCONT)

    assert ended["status"] == "completed"
    assert ended["result"] < 1


def test_output_is_read_on_after_maintenance_was_replaced(running: Service) -> None:
    task = running.post("/tasks", {"type": "count.aloud", "payload": {"seconds": 4}}).body
    wait_until(lambda: logs(running, task["id"])["text"], 10, "it is heard")
    (maintenance,) = running.children("maintenance")

    maintenance.kill()
    running.wait_line("maintenance.exited")
    heard = logs(running, task["id"])["text"]

    wait_until(lambda: logs(running, task["id"])["text"] != heard, 5, "it is heard again")
    assert running.get(f"/tasks/{task['id']}").body["status"] == "processing"
    running.wait_task(task["id"])
    assert logs(running, task["id"])["text"] == "".join(f"{number}\n" for number in range(40))


def test_a_fault_leaves_the_last_words_and_the_stacks(running: Service) -> None:
    ended = run(running, "speak.and.fault")

    text = logs(running, ended["id"])["text"]
    assert ended["error_detail"]["signal"] == "SIGSEGV"
    assert text.startswith("last words\nFatal Python error: Segmentation fault")
    assert "speak_and_fault" in text


def test_a_cancelled_task_shows_how_it_cleaned_up(running: Service) -> None:
    task = running.post("/tasks", {"type": "speak.until.stopped"}).body
    wait_until(running.notes, 10, "it has begun")

    running.post(f"/tasks/{task['id']}/cancel")

    wait_until(lambda: logs(running, task["id"])["text"] == "begun\ncleaned up\n", 5, "its last words are shown")


def test_output_goes_with_the_task(running: Service) -> None:
    ended = run(running, "chatter")

    running.delete(f"/tasks/{ended['id']}")

    assert running.get(f"/tasks/{ended['id']}/logs").status == 404


def test_a_task_that_takes_over_logging_silences_no_later_one(running: Service) -> None:
    run(running, "deaf")
    ended = run(running, "chatter")

    assert "by logging" in logs(running, ended["id"])["text"]
    assert running.lines("task.completed", task_id=ended["id"])


def test_a_module_that_takes_over_logging_when_it_is_imported_silences_no_process(service: Service) -> None:
    mute = "import logging\nlogging.basicConfig(force=True, handlers=[logging.NullHandler()], level=60)\n"
    (service.directory / "mute.py").write_text(mute)

    service.start({"tasks": {"import": ["mute"]}}).wait_ready()
    task = service.post("/tasks", {"type": "echo", "payload": "x"}).body

    for event, process in (("maintenance.started", "maintenance"), ("api.started", "api"), ("worker.started", "worker")):
        service.wait_line(event, process=process)
    service.wait_line("task.completed", task_id=task["id"])


def test_stacks_on_request_go_to_standard_error(running: Service) -> None:
    task = running.post("/tasks", {"type": "tell.slowly", "payload": {"seconds": 30}}).body
    # A task is processing before its handler is entered; only its progress tells that the stack has it.
    wait_until(lambda: running.get(f"/tasks/{task['id']}").body.get("progress"), 5, "the handler runs")

    os.kill(running.pid, signal.SIGUSR1)

    wait_until(lambda: "in tell_slowly" in running.stderr.read_text(), 5, "the stack of the worker is written")
    assert logs(running, task["id"])["text"] == ""


def test_nothing_is_kept_where_nothing_shall_be(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}, "tasks": {"output_max": 0}}, handlers=True)

    ended = run(service, "chatter")

    assert logs(service, ended["id"]) == {"id": ended["id"], "attempt": 1, "text": "", "truncated": False, "attempts": []}


def test_workers_leave_no_descriptors_behind(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 2, "max_tasks": 1}}}, handlers=True)
    helpers = [psutil.Process(service.pid), *service.children("maintenance")]
    run(service, "chatter")
    before = [process.num_fds() for process in helpers]

    for _ in range(8):
        run(service, "chatter")

    wait_until(lambda: all(p.num_fds() <= b + 1 for p, b in zip(helpers, before, strict=True)), 10, "as many as before")


def test_a_task_that_prints_ends_also_when_redis_is_full(running: Service) -> None:
    client = redis.Redis(unix_socket_path=str(next(running.directory.glob(".taskq/*.sock"))))
    task = running.post("/tasks", {"type": "chatter", "payload": {"seconds": 2}}).body
    running.wait_task(task["id"], "processing")

    client.config_set("maxmemory", 1)

    assert running.wait_task(task["id"])["status"] == "completed"
    assert not running.lines("maintenance.failed")
    client.close()
