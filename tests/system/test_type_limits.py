"""The limits of types over two services on one Redis, while workers are killed at the limit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.integration.servers import own_server
from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

MOST, COUNT, PERIOD_MS = 2, 4, 700
TASKS = 24
KILLS = 5
CONFIG = {
    "pools": {"default": {"workers": 4}},
    "tasks": {
        "import": ["tests.system.handlers"],
        "max_crashes": 100,
        "limits": {"span": {"max_concurrent": MOST, "rate_limit": f"{COUNT}/{PERIOD_MS}ms"}},
    },
}


@pytest.fixture
def redis_url() -> Iterator[str]:
    with own_server() as server:
        yield server.url


def noted(services: list[Service], word: str) -> list[list[str]]:
    """The lines that handlers have written and that begin with this word, in words."""
    lines = [line.split() for service in services for line in service.notes()]
    return [line for line in lines if line[0] == word]


def spans(services: list[Service]) -> list[tuple[float, float]]:
    """When each attempt was first and last seen alive, on the clock of this machine."""
    found: dict[tuple[str, str], list[float]] = {}
    for _, task_id, attempt, moment, _ in noted(services, "alive"):
        found.setdefault((task_id, attempt), []).append(float(moment))
    return [(min(moments), max(moments)) for moments in found.values()]


def test_neither_limit_is_exceeded_while_workers_are_killed_at_it(start_service: StartService, redis_url: str) -> None:
    env = {"TASKQ_REDIS__URL": redis_url, "TASKQ_REDIS__PREFIX": "limits"}
    services = [start_service(CONFIG, env=env) for _ in range(2)]
    body = {"tasks": [{"type": "span"} for _ in range(TASKS)]}
    ids = [entry["task"]["id"] for entry in services[0].post("/tasks/batch", body).body]
    other = services[0].post("/tasks", {"type": "nap"}).body

    assert services[0].wait_task(other["id"])["status"] == "completed"  # those at their limit let it pass
    for _ in range(KILLS):
        busy = wait_until(
            lambda: [
                p for service in services for p in service.children("worker") if "running span" in " ".join(p.cmdline())
            ],
            20,
            "a worker runs a limited task",
        )
        busy[0].kill()
        busy[0].wait(10)

    ended = [services[0].wait_task(task_id, limit_s=60) for task_id in ids]
    assert [task["status"] for task in ended] == ["completed"] * TASKS
    assert sum(task["crashes"] for task in ended) >= 1
    edges = sorted(edge for begin, end in spans(services) for edge in ((begin, 1), (end, -1)))
    running = list(itertools.accumulate(step for _, step in edges))
    assert max(running) == MOST
    moments = sorted(int(line[1]) for line in noted(services, "started"))
    assert len(moments) >= TASKS
    assert min(later - first for first, later in zip(moments, moments[COUNT:], strict=False)) > PERIOD_MS
