"""Tasks that submit tasks, and an API and workers that are services of their own."""

from __future__ import annotations

from tests.system.conftest import StartService

RELAYS = {"tasks": {"import": ["tests.system.relays"]}}


def test_a_task_submits_to_the_queue_of_its_service_whatever_names_it(start_service: StartService) -> None:
    # prefix and directory are known from a flag alone, which the workers cannot read
    service = start_service({**RELAYS, "redis": {"prefix": "mine", "data_dir": "elsewhere"}})

    task = service.post("/tasks", {"type": "relay.send", "payload": {"numbers": [1, 2, 3]}}).body

    ids = service.wait_task(task["id"])["result"]
    assert [service.wait_task(task_id)["result"] for task_id in ids] == [2, 4, 6]


def test_a_task_waits_for_one_that_it_submitted(start_service: StartService) -> None:
    service = start_service({**RELAYS, "pools": {"default": {"workers": 2}}})

    task = service.post("/tasks", {"type": "relay.wait", "payload": {"number": 4}}).body

    assert service.wait_task(task["id"])["result"] == 9
    assert service.lines("worker.recycled") == []  # its connections are no damage
    assert service.terminate() == 0


def test_an_api_and_workers_may_be_services_of_their_own(start_service: StartService) -> None:
    front = start_service({"pools": {"default": {"workers": 2}, "other": {"workers": 1}}}, command="api")
    task = front.post("/tasks", {"type": "echo", "payload": "x"}).body
    assert front.children("worker") == []
    assert front.get("/queues/default").body["counts"]["pending"] == 1

    url = f"unix://{front.directory}/.taskq/valkey.sock"
    back = start_service({"redis": {"url": url}}, command="worker")

    assert front.wait_task(task["id"])["result"] == "echo: x"
    assert back.children("api") == []
    assert (back.terminate(), front.terminate()) == (0, 0)
