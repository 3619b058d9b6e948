"""Several pools in one service: each has its queue, its workers and its limits, and none disturbs another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import StartService

POOLS = {
    "default": {"workers": 1},
    "bulk": {"queue": "bulk", "workers": 2, "nice": 5, "max_tasks": 1},
}


def test_each_pool_works_off_its_own_queue_with_its_own_workers(start_service: StartService) -> None:
    service = start_service({"pools": POOLS}, handlers=True)
    flood = [
        service.post("/tasks", {"type": "nap", "queue": "bulk", "payload": {"seconds": 0.5}}).body["id"] for _ in range(6)
    ]

    task = service.post("/tasks", {"type": "nap"}).body
    ended = service.wait_task(task["id"])

    # all six take at least 1.5 s with two workers, so the flood was still going on
    assert [service.get(f"/tasks/{task_id}").body["status"] for task_id in flood].count("completed") < 6
    by_queue = {"default": {ended["worker_id"]}, "bulk": {service.wait_task(i)["worker_id"] for i in flood}}
    assert by_queue["default"].isdisjoint(by_queue["bulk"])
    assert len(by_queue["bulk"]) == 6  # max_tasks of this pool renews its workers after each task
    assert service.lines("worker.recycled")


def test_each_pool_has_its_own_number_of_workers_and_niceness(start_service: StartService) -> None:
    service = start_service({"pools": POOLS}, handlers=True)

    def workers() -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for worker in service.get("/workers").body:
            found.setdefault(f"{worker['pool']} {worker['queue']}", []).append(psutil.Process(worker["pid"]).nice())
        return found

    ours = psutil.Process().nice()
    expected = {"default default": [ours], "bulk bulk": [ours + 5] * 2}
    wait_until(lambda: workers() == expected, 10, f"workers and niceness by pool are {expected}")


def test_a_queue_without_a_free_worker_shows_how_long_its_oldest_task_has_waited(start_service: StartService) -> None:
    service = start_service({"pools": {**POOLS, "bulk": {"queue": "bulk", "workers": 0}}}, handlers=True)
    service.post("/tasks", {"type": "nap", "queue": "bulk"})
    service.post("/tasks", {"type": "nap"})

    def waits() -> dict[str, float | None]:
        return {queue["queue"]: queue.get("oldest_wait_s") for queue in service.get("/queues").body}

    wait_until(lambda: (waits()["bulk"] or 0) > 0.5 and waits()["default"] is None, 10, "only the queue bulk waits")


def test_a_pause_over_http_holds_until_the_resume_and_everything_runs_then(start_service: StartService) -> None:
    service = start_service({"pools": {"default": {"workers": 2}}}, handlers=True)
    running = service.post("/tasks", {"type": "nap", "payload": {"seconds": 1}}).body
    service.wait_task(running["id"], "processing")
    assert service.post("/queues/default/pause", {"reason": "deploy"}).status == 200
    waiting = [service.post("/tasks", {"type": "nap", "priority": priority}).body for priority in ("low", "high", "normal")]

    service.wait_task(running["id"], "completed")
    assert {service.get(f"/tasks/{task['id']}").body["status"] for task in waiting} == {"pending"}
    assert service.get("/queues/default").body["counts"]["pending"] == 3

    assert service.post("/queues/default/resume").status == 200
    for task in waiting:
        assert service.wait_task(task["id"])["status"] == "completed"
    assert service.lines("queue.paused", queue="default")
    assert service.lines("queue.resumed", queue="default")


def test_a_worker_imports_nothing_after_its_fork_that_each_would_keep_for_itself(start_service: StartService) -> None:
    pools = {"default": {"workers": 1}, "bulk": {"queue": "bulk", "workers": 1, "prefetch": 8}}
    service = start_service({"pools": pools}, handlers=True)

    for queue in pools:
        for type_ in ("nap", "chatter", "bad", "imports"):
            task = service.post("/tasks", {"type": type_, "queue": queue, "max_retry": 0}).body
            ended = service.wait_task(task["id"])
        assert ended["result"] == []
