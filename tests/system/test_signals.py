"""Drains again and again under load, and signals at odd moments: nothing hangs, nothing is lost, the exit code is 0."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import wait_until

if TYPE_CHECKING:
    from tests.system.conftest import Service

CONFIG = {"pools": {"default": {"workers": 2, "drain": 1}}}
ODD = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)


def accept(service: Service, seconds: float) -> str:
    """The id of a task that was accepted."""
    answer = service.post("/tasks", {"type": "nap", "payload": {"seconds": seconds}})
    assert answer.status == 201
    return str(answer.body["id"])


def drain_again_and_again(service: Service, rounds: int, chance: random.Random) -> list[str]:
    """Post tasks, send odd signals and stop at a random moment, `rounds` times; the ids of all that was accepted."""
    accepted: list[str] = []
    for _ in range(rounds):
        service.start(CONFIG, handlers=True).wait_ready()
        for _ in range(6):
            seconds = chance.choice([0.0, 0.05, 0.2])
            accepted.append(accept(service, seconds))
            if chance.random() < 0.3:
                os.kill(service.pid, chance.choice(ODD))
        time.sleep(chance.uniform(0, 0.3))  # not a wait for anything: the moment of the stop is what is being varied
        assert service.terminate(chance.choice([signal.SIGTERM, signal.SIGINT])) == 0
        assert not service.session()
    return accepted


def check_all_completed_uncounted(service: Service, accepted: list[str]) -> None:
    """Start once more and wait until every task has completed; drains count neither as retries nor as crashes."""
    service.start(CONFIG, handlers=True).wait_ready()
    for task_id in accepted:
        ended = service.wait_task(task_id)
        assert (ended["status"], ended["retries"], ended["crashes"]) == ("completed", 0, 0)


def test_drains_under_load_with_odd_signals_lose_nothing(service: Service) -> None:
    accepted = drain_again_and_again(service, 6, random.Random(1))

    check_all_completed_uncounted(service, accepted)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_hundred_drains_under_load_lose_nothing(service: Service) -> None:
    accepted = drain_again_and_again(service, 100, random.Random(2))

    check_all_completed_uncounted(service, accepted)


@pytest.mark.parametrize("moment_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
def test_a_signal_during_the_start_ends_the_service_and_leaves_nothing(service: Service, moment_s: float) -> None:
    service.start(CONFIG)
    time.sleep(moment_s)  # the moment within the start is what is being varied

    code = service.terminate()

    # before the first handler stands the kernel ends it, then we do by hand, then it drains
    assert code in (-signal.SIGTERM, 128 + signal.SIGTERM, 0)
    assert not service.session()


def test_a_burst_of_stops_is_a_stop(service: Service) -> None:
    service.start(CONFIG, handlers=True).wait_ready()
    task = service.post("/tasks", {"type": "nap", "payload": {"seconds": 600}}).body
    service.wait_task(task["id"], "processing")

    for _ in range(20):
        os.kill(service.pid, signal.SIGTERM)

    assert service.wait_exit() == 0
    assert service.lines("task.released", task_id=task["id"])


def test_requests_for_stacks_end_no_process(service: Service) -> None:
    service.start(CONFIG, handlers=True).wait_ready()
    before = {process.pid for process in service.session()}
    over = threading.Event()

    def hammer() -> None:
        while not over.is_set():
            accept(service, 0.0)

    with ThreadPoolExecutor(2) as clients:
        answered = [clients.submit(hammer) for _ in range(2)]
        try:
            for asked in range(30):
                os.kill(service.pid, signal.SIGUSR1)
                # the supervisor writes its own stack first; words of others may come in between
                wait_until(partial(lambda n: service.stderr.read_text().count("_act_on") > n, asked), 10, "it was seen")
        finally:
            over.set()
    for answer in answered:
        answer.result()

    assert {process.pid for process in service.session()} == before
    stacks = service.stderr.read_text()
    for own in ("worker_child", "api_child", "maintenance_child", "warden_child", "_take_turns"):
        assert own in stacks


def test_reloads_cut_off_nobody(service: Service) -> None:
    service.start({"api": {"processes": 2}, "pools": {"default": {"workers": 0}}}).wait_ready()
    answers: list[int] = []
    over = threading.Event()

    def hammer() -> None:
        while not over.is_set():
            answers.append(service.post("/tasks", {"type": "echo", "payload": "x"}).status)

    with ThreadPoolExecutor(4) as pool:
        hammering = [pool.submit(hammer) for _ in range(4)]
        for count in range(1, 21):
            os.kill(service.pid, signal.SIGHUP)
            wait_until(partial(lambda count: len(service.lines("api.exited")) >= 2 * count, count), 30, "both are renewed")
        over.set()
        for one in hammering:
            one.result()

    assert len(answers) > 100
    assert set(answers) == {201}
    assert {line["exit_code"] for line in service.lines("api.exited")} == {0}
