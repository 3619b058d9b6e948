"""A worker in a process of its own, against a real server: what it leaves in Redis."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskq.children import has_children
from taskq.errors import Retry
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.supervisor.slots import Board
from taskq.task import Status
from taskq.typeoptions import Options
from taskq.worker.worker import Worker
from tests.integration.steps import enqueued, joined, status

END_LIMIT_S = 20.0

RunOne = Callable[..., str]


def forked(worker: Worker) -> None:
    """Let this worker run to its end in a process of its own."""

    def child() -> None:
        os.setpgid(0, 0)
        worker.run()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    try:
        process.join(END_LIMIT_S)
        assert process.exitcode == 0
    finally:
        process.kill()


@pytest.fixture
def run_one(queue: Queue, redis_url: str, prefix: str) -> RunOne:
    """Enqueues a task whose handler is this function and lets a worker run it and end; returns the id of the task."""

    def run(function: Callable[..., Any], options: Options | None = None, **fields: Any) -> str:
        registry, slot = Registry(), Board(1).slot(0)
        task_id = enqueued(queue, type_="it", **fields)
        worker_id = joined(queue)

        def handler(payload: Any = None) -> Any:
            slot.order_drain()
            return function(task_id, payload)

        registry.add("it", handler, options or Options())
        forked(Worker(worker_id, Queue(Link(redis_url), prefix=prefix), registry, slot))
        return task_id

    return run


def test_a_write_of_an_attempt_that_was_overtaken_is_counted(
    queue: Queue, inspector: Inspector, run_one: RunOne, redis_url: str, prefix: str
) -> None:
    def cancels_itself(task_id: str, _payload: Any) -> str:
        Queue(Link(redis_url), prefix=prefix).cancel(task_id)
        return "too late"

    task_id = run_one(cancels_itself)

    assert status(queue, task_id) is Status.CANCELLED
    assert inspector.state("default").stale_writes == 1


def test_a_write_that_is_accepted_counts_nothing(queue: Queue, inspector: Inspector, run_one: RunOne) -> None:
    task_id = run_one(lambda *_: "done")

    assert status(queue, task_id) is Status.COMPLETED
    assert inspector.state("default").stale_writes == 0


# -- what an attempt leaves behind


class Watched(Queue):
    """Calls `look` when the end of a task has been sent, and when it is waited for."""

    look: Callable[[str], None]

    def completing(self, *args: Any, **more: Any) -> Callable[[], Any]:
        answer = super().completing(*args, **more)
        self.look("sent")

        def looked() -> Any:
            self.look("waiting")
            return answer()

        return looked


def test_what_may_act_has_ended_when_the_end_is_told_and_what_lies_still_is_put_back_while_redis_works(
    queue: Queue, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    registry, slot, own = Registry(), Board(1).slot(0), Watched(Link(redis_url), prefix=prefix)
    mask = os.umask(0o022)
    os.umask(mask)

    def look(when: str) -> None:
        held = os.umask(0o077)
        os.umask(held)
        left = has_children() or signal.getitimer(signal.ITIMER_REAL) != (0, 0) or signal.getsignal(signal.SIGALRM) is strike
        (tmp_path / when).write_text(f"{left} {held == mask}")

    def strike(*_: Any) -> None:
        raise AssertionError("the task has ended")

    def handler() -> None:
        slot.order_drain()
        if os.fork() == 0:
            signal.pause()
        signal.signal(signal.SIGALRM, strike)
        signal.setitimer(signal.ITIMER_REAL, 3600)
        os.umask(mask ^ 0o011)

    own.look = look
    registry.add("it", handler, Options())
    task_id = enqueued(queue, type_="it")
    forked(Worker(joined(queue), own, registry, slot))

    assert status(queue, task_id) is Status.COMPLETED
    assert (tmp_path / "sent").read_text() == "False False"
    assert (tmp_path / "waiting").read_text() == "False True"


def test_a_task_that_was_claimed_before_damage_was_found_goes_back(
    queue: Queue, redis_url: str, prefix: str, inspector: Inspector
) -> None:
    registry, fd = Registry(), os.open("/", os.O_RDONLY)
    registry.add("it", lambda: os.close(fd), Options())
    first, second = enqueued(queue, type_="it"), enqueued(queue, type_="it")
    worker_id = joined(queue)

    forked(Worker(worker_id, Queue(Link(redis_url), prefix=prefix), registry, Board(1).slot(0)))
    os.close(fd)

    assert status(queue, first) is Status.COMPLETED
    task = inspector.get(second)
    assert task is not None
    assert (task.status, task.attempt, task.crashes, task.retries) == (Status.PENDING, 1, 0, 0)
    assert queue.link.redis.lrange(queue.keys.pending, 0, -1) == [second.encode()]
    assert queue.link.redis.exists(queue.keys.processing(worker_id)) == 0
    assert queue.link.redis.zscore(queue.keys.leases, worker_id) is None


# -- an attempt in a process of its own

ISOLATED = Options(isolation="process", max_retry=0)


def test_an_isolated_attempt_ends_like_any_other(queue: Queue, inspector: Inspector, run_one: RunOne) -> None:
    task_id = run_one(lambda _, payload: [payload, "x" * 100_000], ISOLATED, payload=b'"in"')

    task = inspector.get(task_id)
    assert task is not None
    assert (task.status, task.result) == (Status.COMPLETED, b'["in","' + b"x" * 100_000 + b'"]')


def raise_value_error(*_: Any) -> None:
    raise ValueError("bad value")


def test_an_isolated_attempt_fails_like_any_other(inspector: Inspector, run_one: RunOne) -> None:
    plain = inspector.get(run_one(raise_value_error, max_retry=0))
    isolated = inspector.get(run_one(raise_value_error, ISOLATED, max_retry=0))

    assert plain is not None
    assert isolated is not None
    assert (isolated.status, isolated.error) == (plain.status, plain.error) == (Status.FAILED, "bad value")
    assert isolated.error_detail == plain.error_detail


def test_an_isolated_attempt_retries_like_any_other(queue: Queue, run_one: RunOne) -> None:
    def handler(*_: Any) -> None:
        raise Retry(delay=60)

    task_id = run_one(handler, ISOLATED)

    assert status(queue, task_id) is Status.SCHEDULED


def test_a_result_that_is_too_large_fails_an_isolated_attempt_too(inspector: Inspector, run_one: RunOne) -> None:
    task = inspector.get(run_one(lambda *_: "x" * (2 << 20), ISOLATED))

    assert task is not None
    assert task.error == "result_too_large: 2097154 bytes, at most 1048576 are kept"


def long_error(*_: Any) -> None:
    raise ValueError("\U0001f4a5" * 10_000_000)


def test_the_words_of_any_error_find_room(inspector: Inspector, run_one: RunOne) -> None:
    task = inspector.get(run_one(long_error, ISOLATED, max_retry=0))

    assert task is not None
    assert (task.status, task.error_detail["type"] if task.error_detail else None) == (Status.FAILED, "ValueError")


@pytest.mark.parametrize(
    ("die", "cause"),
    [
        (lambda *_: os.kill(os.getpid(), signal.SIGUSR1), ("SIGUSR1", None)),
        (lambda *_: os.kill(os.getpid(), signal.SIGKILL), ("SIGKILL", None)),
        (lambda *_: os._exit(7), (None, 7)),
        (lambda *_: os._exit(0), (None, 0)),
    ],
    ids=["SIGUSR1", "SIGKILL", "exit 7", "exit 0"],
)
def test_the_death_of_an_isolated_process_is_a_crash_that_its_worker_survives(
    inspector: Inspector, run_one: RunOne, die: Callable[..., Any], cause: tuple[str | None, int | None]
) -> None:
    task = inspector.get(run_one(die, ISOLATED))

    assert task is not None
    assert task.error_detail is not None
    assert (task.status, task.crashes, task.retries, task.attempt) == (Status.PENDING, 1, 0, 1)
    assert (task.error_detail.get("signal"), task.error_detail.get("exit_code")) == cause
    assert task.error_detail["kind"] == "crash"
    assert task.error_detail["peak_rss_bytes"] > 1 << 20
    assert (task.error or "").startswith("the isolated process died under the task: ")


def test_a_handler_that_closes_every_descriptor_still_tells_its_result(inspector: Inspector, run_one: RunOne) -> None:
    def handler(*_: Any) -> str:
        os.closerange(0, 4096)
        return "told"

    task = inspector.get(run_one(handler, ISOLATED))

    assert task is not None
    assert (task.status, task.result) == (Status.COMPLETED, b'"told"')


@pytest.mark.parametrize("cut", [True, False])
def test_a_worker_whose_wait_was_cut_stays_known_to_the_reapers(
    queue: Queue, redis_url: str, prefix: str, *, cut: bool
) -> None:
    worker_id, slot = joined(queue), Board(1).slot(0)

    link = Link(redis_url)
    link.wait_was_cut = cut
    slot.order_drain()

    forked(Worker(worker_id, Queue(link, prefix=prefix), Registry(), slot))

    known = queue.link.redis.zscore(queue.keys.leases, worker_id) is not None
    assert known is cut
