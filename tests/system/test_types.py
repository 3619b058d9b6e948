"""Types across processes and machines: one service runs the workers, another one only the API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.task import NewTask
from tests.integration.servers import own_server
from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_server() as server:
        yield server.url


@pytest.fixture
def workers(start_service: StartService, redis_url: str) -> Service:
    """A service without an API."""
    return start_service({"redis": {"url": redis_url}, "pools": {"default": {"workers": 2}}}, "--no-api", handlers=True)


@pytest.fixture
def front(start_service: StartService, redis_url: str) -> Service:
    """A service with nothing but an API; it has none of the code."""
    config = {"redis": {"url": redis_url}, "tasks": {"builtin": False}, "pools": {"default": {"workers": 0}}}
    return start_service(config)


def test_an_api_on_another_machine_checks_without_the_code(workers: Service, front: Service) -> None:
    assert workers.lines("supervisor.started")
    shown = wait_until(lambda: front.get("/types/nap").body.get("queues"), 10, "both workers have told their types")

    wrong = front.post("/tasks", {"type": "nap", "payload": {"seconds": "long"}})
    unknown = front.post("/tasks", {"type": "nab"})
    right = front.post("/tasks", {"type": "nap", "payload": {"seconds": 0}})

    assert shown[0]["queue"] == "default"
    assert (wrong.status, wrong.body["errors"][0]["pointer"]) == (422, "/payload/seconds")
    assert (unknown.status, unknown.body["error"]) == (422, "unknown task type: nab; did you mean nap?")
    assert right.status == 201
    front.wait_task(right.body["id"], "completed")


def test_types_go_with_the_workers_that_served_them(workers: Service, front: Service) -> None:
    wait_until(lambda: front.get("/types/nap").body.get("queues"), 10, "the workers have told their types")

    assert workers.terminate() == 0

    assert front.get("/types/nap").body["queues"] == []
    assert front.post("/tasks", {"type": "nap", "payload": {"seconds": "long"}}).status == 422
    assert front.post("/tasks", {"type": "something.else"}).status == 201


def test_a_task_of_a_type_that_its_workers_do_not_know_fails_with_its_name(workers: Service, redis_url: str) -> None:
    assert workers.lines("supervisor.started")
    with contextlib.closing(Link(redis_url)) as link:
        inspector = Inspector(link)
        task = NewTask(id="5335d502-a2c7-4abd-9496-c64692b43869", type="no.such")
        inspector.queue("default").enqueue(task)

        def error() -> str | None:
            found = inspector.get(task.id)
            return found.error if found else None

        assert wait_until(error, 20, "the task has failed") == "unknown task type: no.such"


def test_a_waiting_task_expires_though_no_worker_is_free(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1}}}, handlers=True)
    running = service.post("/tasks", {"type": "nap", "payload": {"seconds": 30}}).body
    service.wait_task(running["id"], "processing")

    task = service.post("/tasks", {"type": "nap", "expires_in": "500ms"}).body

    ended = service.wait_task(task["id"], limit_s=5)
    assert (ended["status"], ended["error_detail"]["kind"], ended["attempt"]) == ("failed", "expired", 0)
    assert service.wait_line("task.expired", task_id=task["id"])["type"] == "nap"
    assert service.get(f"/tasks/{running['id']}").body["status"] == "processing"
