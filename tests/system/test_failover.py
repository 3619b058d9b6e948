"""The primary dies under load, behind Sentinel: workers, API and maintenance go on with the one that is chosen then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.sentinels import Watch
from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service, StartService

UNCERTAIN_S = 0.25
"""So old is a task that may have died with the primary: replicas get what it has acknowledged a moment later."""

ENOUGH = 20


class Submitter(threading.Thread):
    """Submits one task after the other. `accepted` has the id of each with the moment of the answer."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.accepted: list[tuple[str, float]] = []
        self.answers: set[int] = set()
        self.over = threading.Event()
        self._service = service

    def run(self) -> None:
        while not self.over.wait(0.01):
            delay = {"delay": 0.2} if len(self.accepted) % 4 == 0 else {}  # so that something has to be promoted
            answer = self._service.post("/tasks", {"type": "echo", "payload": "x", **delay})
            self.answers.add(answer.status)
            if answer.status == 201:
                self.accepted.append((answer.body["id"], time.monotonic()))

    def since(self, at: float) -> int:
        """How many tasks were accepted after this moment."""
        return sum(1 for _, accepted_at in self.accepted if accepted_at > at)


@pytest.mark.chaos
def test_everything_goes_on_with_the_next_primary_when_one_dies(start_service: StartService) -> None:
    with Watch() as watch:
        service = start_service({"redis": {"url": watch.url}, "pools": {"default": {"workers": 2}}})
        wait_until(lambda: len(service.lines("worker.started")) == 2, 20, "both workers are there")
        workers = {process.pid for process in service.children("worker")}
        submitter = Submitter(service)
        submitter.start()
        try:
            wait_until(lambda: len(submitter.accepted) >= ENOUGH, 20, "tasks are accepted")
            first, died_at = watch.primary(), time.monotonic()
            watch.kill(first)
            watch.until(lambda: watch.primary() != first, "another primary")
            wait_until(lambda: submitter.since(died_at + UNCERTAIN_S) >= ENOUGH, 30, "tasks are accepted again")
        finally:
            submitter.over.set()
            submitter.join()
        back_s = min(at for _, at in submitter.accepted if at > died_at + UNCERTAIN_S) - died_at
        print(f"accepted again {back_s:.2f} s after the death of the primary")

        sure = [task_id for task_id, at in submitter.accepted if not -UNCERTAIN_S < at - died_at < UNCERTAIN_S]
        assert [service.wait_task(task_id)["status"] for task_id in sure] == ["completed"] * len(sure)
        assert submitter.answers <= {201, 503}
        assert {process.pid for process in service.children("worker")} == workers
        assert service.lines("worker.exited") == []
        assert service.terminate() == 0
