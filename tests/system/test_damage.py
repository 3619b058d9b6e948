"""Redis loses everything, or holds something else where a queue should be: it is said, and nothing crashes in a loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import redis

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

WORKERS = 2
ENDS_AT_MOST = 3 * WORKERS
"""Of workers: each may be replaced once for its lease and once for what it held."""


def administrator(service: Service) -> redis.Redis:
    return redis.Redis(unix_socket_path=f"{service.directory}/.taskq/valkey.sock")


def works(service: Service) -> None:
    """A new task is accepted and completed."""
    task = wait_until(lambda: accepted(service), 20, "a task is accepted")
    assert service.wait_task(task)["result"] == "echo: x"


def accepted(service: Service) -> str:
    answer = service.post("/tasks", {"type": "echo", "payload": "x"})
    return answer.body["id"] if answer.status == 201 else ""


def test_the_service_goes_on_after_redis_was_emptied(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": WORKERS}}})
    works(service)
    running = service.post("/tasks", {"type": "slow"}).body["id"]
    service.wait_task(running, "processing")

    with contextlib.closing(administrator(service)) as client:
        client.flushall()

    works(service)
    assert service.get(f"/tasks/{running}").status == 404
    assert service.get("/queues/default").body["counts"]["completed"] >= 1
    assert len(service.lines("worker.exited")) <= ENDS_AT_MOST
    assert service.lines("maintenance.exited") == service.lines("api.exited") == []
    assert service.terminate() == 0


def test_a_key_of_the_wrong_type_is_told_and_does_not_end_in_a_loop(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": WORKERS}}})
    works(service)

    with contextlib.closing(administrator(service)) as client:
        client.set("{taskq:default}:pending", "nonsense")
        told = service.wait_line("queue.refused")
        client.delete("{taskq:default}:pending")

    assert "WRONGTYPE" in told["message"]
    works(service)
    assert len(service.lines("worker.exited")) <= ENDS_AT_MOST
    assert service.lines("maintenance.exited") == service.lines("api.exited") == []
    assert service.terminate() == 0
