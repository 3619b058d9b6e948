"""A pool that claims ahead: what waits behind a long or deadly task is run by others, once, and is not blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

SHORT = [{"type": "nap"}] * 60


def starts(service: Service) -> list[str]:
    return [line.split()[1] for line in service.notes() if line.startswith("start ")]


def submit(service: Service, tasks: list[Any]) -> list[str]:
    return [item["task"]["id"] for item in service.post("/tasks/batch", {"tasks": tasks}).body]


def test_what_was_claimed_behind_a_long_task_runs_elsewhere_once(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 2, "prefetch": 16}}}, handlers=True)
    end = service.directory / "end"
    ids = submit(service, [*SHORT, {"type": "hold.until", "payload": {"path": str(end)}}, *SHORT])
    long = ids.pop(len(SHORT))

    def ended() -> bool:
        return all(service.get(f"/tasks/{task_id}").body["status"] == "completed" for task_id in ids)

    wait_until(ended, 20, "every short task ends while the long one holds the interpreter of its worker")
    assert service.get(f"/tasks/{long}").body["status"] == "processing"
    end.touch()
    service.wait_task(long, "completed")
    assert sorted(starts(service)) == sorted(ids), "a task ran twice, or never"
    assert service.terminate() == 0
    assert not service.lines("task.stale")


def test_only_the_task_that_kills_its_worker_is_blamed(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 1, "prefetch": 16}}}, handlers=True)
    ids = submit(service, [*SHORT, {"type": "die", "payload": {"number": 9}}, *SHORT])
    deadly = ids.pop(len(SHORT))

    assert service.wait_task(deadly, "failed")["crashes"] == 3
    found = [service.wait_task(task_id, "completed") for task_id in ids]
    assert {task.get("crashes", 0) for task in found} == {0}
    assert sorted(starts(service)) == sorted(ids), "a task whose result was not sent ran twice"
