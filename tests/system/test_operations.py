"""An action on many tasks outlives whoever carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

BATCHES, EACH = 20, 1000
END_LIMIT_S = 60
"""The lease of the one that died, and the rest of the work on a busy machine."""


def test_an_operation_goes_on_although_maintenance_and_the_api_are_killed_in_its_middle(start_service: StartService) -> None:
    service: Service = start_service({"pools": {"default": {"workers": 1}}})
    task = {"type": "echo", "payload": "x", "delay": "1h"}
    for _ in range(BATCHES):
        assert service.post("/tasks/batch", {"tasks": [task] * EACH, "atomic": True}).status == 201
    planned = service.post("/tasks/actions", {"action": "cancel", "filter": {"type": "echo"}})
    assert planned.status == 202

    def operation() -> dict[str, Any]:
        answer = service.get(planned.headers["Location"])
        assert answer.status == 200
        return dict(answer.body)

    wait_until(lambda: operation()["done"], END_LIMIT_S, "it has begun")
    for process in (*service.children("maintenance"), *service.children("api")):
        process.kill()
    service.wait_line("api.exited")
    service.wait_ready()
    assert operation()["state"] == "running"

    wait_until(lambda: operation()["state"] == "completed", END_LIMIT_S, "it has ended")

    ended = operation()
    assert [ended[name] for name in ("matched", "done", "skipped", "failed")] == [BATCHES * EACH, BATCHES * EACH, 0, 0]
    assert len(service.lines("operation.taken", operation_id=ended["id"])) == 2
    assert service.get("/queues/default").body["counts"]["cancelled"] == BATCHES * EACH
