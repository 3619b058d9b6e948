"""A link that goes dead, crawls, breaks and breaks in mid-reply, and a server that is killed or stands still.

No error of these reaches a caller that is patient enough, and each task still runs and ends once.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from taskq.errors import QueueUnavailable
from taskq.queue import connection
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.scripts import load, names
from taskq.task import Status, Verdict
from tests.faultproxy import FaultProxy, RealServer, label, labelled
from tests.integration.steps import (
    SETTLES,
    claim,
    enqueued,
    entries,
    joined,
    members,
    new,
    reap,
    record,
    started,
    status,
    until,
)

LIMIT_S = 30.0
BLOCK_S = 0.2
SHORT_TIMEOUT_S = 0.4


class Rig:
    """A server that knows the scripts, a proxy before it, and `queue`, which is reached without faults."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.server = stack.enter_context(RealServer())
        self.proxy = stack.enter_context(FaultProxy(self.server.path))
        self.queue = Queue(stack.enter_context(contextlib.closing(Link(self.server.url))))
        self._stack = stack
        self._threads: dict[Link, ThreadPoolExecutor] = {}
        self._others = stack.enter_context(ThreadPoolExecutor(16))
        for name in names():
            self.queue.link.redis.script_load(load(name).text)

    def far(self) -> Queue:
        """The same queue over a link of its own through the proxy, which is connected already: in the thread that
        `submit` will use for it, since a link has a connection for each thread."""
        link = Link(self.proxy.url, patience_s=LIMIT_S - 10)
        self._stack.enter_context(contextlib.closing(link))
        thread = self._threads[link] = self._stack.enter_context(ThreadPoolExecutor(1))
        thread.submit(Queue(link).link.script, load("lapsed"), ["x:leases", "x:reaper"], [1, 1, 0]).result(LIMIT_S)
        return Queue(link)

    def submit(self, act: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call `act` in the thread of the link that it, or one of its arguments, goes over."""
        over = [link for link in (getattr(each, "link", None) for each in (*args, getattr(act, "__self__", None))) if link]
        thread = self._threads.get(over[0]) if over else None
        return (thread or self._others).submit(act, *args)

    def sent(self, wanted: str) -> int:
        return sum(label(command) == wanted for command in self.proxy.seen)

    def claimed(self, worker: str) -> list[str]:
        return entries(self.queue, self.queue.keys.processing(worker))


@pytest.fixture
def rig() -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        yield Rig(stack)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_S", SHORT_TIMEOUT_S)


@pytest.mark.usefixtures("short_timeouts")
def test_a_block_on_a_dead_link_ends_by_its_timeout_and_the_task_that_came_meanwhile_is_found(rig: Rig) -> None:
    worker, far, begun = joined(rig.queue), rig.far(), time.monotonic()
    waiting = rig.submit(far.wait, worker, BLOCK_S)
    until(lambda: rig.sent("BLMOVE"), "the worker waits")
    rig.proxy.black_hole(commands=False)
    task_id = enqueued(rig.queue)
    until(lambda: status(rig.queue, task_id) is Status.PROCESSING, "the task has moved and started")
    assert rig.claimed(worker) == [task_id]
    until(lambda: rig.proxy.accepted == 3, "the worker has given the wait up and connects anew")
    waited_s = time.monotonic() - begun
    rig.proxy.heal()

    attempt = waiting.result(LIMIT_S)

    assert (attempt.id, attempt.attempt) == (task_id, 1)
    assert BLOCK_S < waited_s < BLOCK_S + SHORT_TIMEOUT_S + 2
    assert rig.sent("BLMOVE") == 1


def give_up(rig: Rig, far: Queue, worker: str) -> None:
    """Send a BLMOVE into a black hole and give it up; it will arrive when the proxy is healed."""
    move = (far.keys.pending, far.keys.processing(worker), BLOCK_S)
    assert far.link.block_move(*move) is None
    rig.proxy.black_hole()
    with pytest.raises(QueueUnavailable):
        far.link.block_move(*move)


@pytest.mark.usefixtures("short_timeouts")
def test_a_move_that_arrives_after_it_was_given_up_is_found_when_the_worker_has_settled_what_it_runs(rig: Rig) -> None:
    worker, far = joined(rig.queue), rig.far()
    give_up(rig, far, worker)
    first, second = enqueued(rig.queue), enqueued(rig.queue)
    attempt = claim(rig.queue, worker)
    rig.proxy.heal()
    until(lambda: rig.claimed(worker) == [first, second], "the late command was performed")

    verdict, following = far.complete(worker, attempt, b"1", claim_next=True)

    assert verdict is Verdict.OK
    assert following is not None
    assert (following.id, following.attempt) == (second, 1)


@pytest.mark.usefixtures("short_timeouts")
def test_a_move_that_arrives_after_its_worker_was_reaped_is_given_back_by_the_next_reap(rig: Rig) -> None:
    worker = joined(rig.queue)
    give_up(rig, rig.far(), worker)
    reap(rig.queue, worker)
    task_id = enqueued(rig.queue)
    rig.proxy.heal()
    until(lambda: rig.claimed(worker) == [task_id], "the late command was performed")

    reap(rig.queue, worker, dead=False)

    assert entries(rig.queue, rig.queue.keys.pending) == [task_id]
    assert "crashes" not in record(rig.queue, task_id)


def work(queue: Queue, worker: str, runs: list[tuple[str, int]], total: int) -> None:
    """Complete tasks until all have run, as a worker does."""
    attempt = None
    while len(runs) < total:
        attempt = attempt or queue.claim(worker) or queue.wait(worker, BLOCK_S)
        if attempt is not None:
            runs.append((attempt.id, attempt.attempt))
            verdict, attempt = queue.complete(worker, attempt, b"1", claim_next=True)
            assert verdict is Verdict.OK


def under_load(rig: Rig, total: int, disturb: Callable[[], Any], every: int) -> list[Any]:
    """Two workers and two producers do `total` tasks, disturbed whenever `every` commands have gone through or none will.
    Returns what the disturbances answered. Fails unless each task was run once and completed."""
    news, runs, producer = [new() for _ in range(total)], list[tuple[str, int]](), rig.far()
    doing = [rig.submit(work, rig.far(), joined(rig.queue), runs, total) for _ in range(2)]
    doing += [rig.submit(lambda part: [producer.enqueue(task) for task in part], news[half::2]) for half in range(2)]
    answers = []
    while not all(future.done() for future in doing):
        mark, deadline = len(rig.proxy.seen) + every, time.monotonic() + 0.5
        while len(rig.proxy.seen) < mark and time.monotonic() < deadline:
            time.sleep(0.0005)
        answers.append(disturb())
    for future in doing:
        future.result()
    assert sorted(runs) == sorted((task.id, 1) for task in news)
    assert sorted(members(rig.queue, rig.queue.keys.completed)) == sorted(task.id for task in news)
    assert not entries(rig.queue, rig.queue.keys.pending)
    return answers


def test_tasks_run_once_in_a_storm_of_resets(rig: Rig) -> None:
    resets = under_load(rig, 100, rig.proxy.reset, every=25)

    assert sum(resets) > 20


def test_tasks_run_once_though_the_scripts_are_flushed_again_and_again(rig: Rig) -> None:
    with rig.server.client() as administrator:
        flushes = under_load(rig, 200, administrator.script_flush, every=5)

    assert len(flushes) > 50
    assert rig.sent("SCRIPT LOAD") > 50


def test_tasks_run_once_over_a_slow_link(rig: Rig) -> None:
    rig.proxy.delay(0.01)

    under_load(rig, 20, lambda: None, every=20)


def test_a_call_is_not_cut_off_by_the_error_of_another_thread_that_shares_the_link(rig: Rig) -> None:
    far = rig.far()
    calling = rig.submit(far.link.run, lambda client: client.blpop("list", LIMIT_S))
    until(lambda: rig.sent("BLPOP"), "one thread waits for its reply")
    fault = rig.proxy.lose_reply(labelled("stopped"))
    far.stop_done("w")
    rig.queue.link.redis.rpush("list", "x")

    assert calling.result(LIMIT_S)[1] == b"x"
    assert fault.hits == 1
    assert rig.sent("BLPOP") == 1


@pytest.mark.usefixtures("short_timeouts")
def test_a_settle_whose_replies_come_too_late_is_counted_once(rig: Rig) -> None:
    worker, far = joined(rig.queue), rig.far()
    attempt = started(rig.queue, worker)
    rig.proxy.delay(SHORT_TIMEOUT_S)
    settling = rig.submit(SETTLES["retry"], far, worker, attempt)
    until(lambda: rig.proxy.accepted == 3, "it was tried twice and is tried again")
    assert status(rig.queue, attempt.id) is Status.SCHEDULED
    rig.proxy.heal()

    assert settling.result(LIMIT_S) is Verdict.OK
    assert record(rig.queue, attempt.id)["retries"] == "1"


def test_a_claim_whose_reply_ends_at_any_byte_starts_the_task_once(rig: Rig) -> None:
    worker, far = joined(rig.queue), rig.far()
    length, tries = 0, 2
    while tries == 2:
        task_id, before = enqueued(rig.queue), rig.sent("claim")
        cut = rig.proxy.cut_reply(length, labelled("claim"))

        attempt = claim(far, worker)

        tries = rig.sent("claim") - before
        assert cut.hits == 1
        assert (attempt.id, attempt.attempt) == (task_id, 1)
        assert rig.queue.complete(worker, attempt, b"1")[0] is Verdict.OK
        length += 1
    assert tries == 1  # the first that was not cut, but ended where the reply does
    assert length > len(task_id)


ENDS = {
    "complete": Status.COMPLETED,
    "retry": Status.SCHEDULED,
    "fail": Status.FAILED,
    "release": Status.PENDING,
    "crash": Status.PENDING,
}


@pytest.mark.parametrize("verb", SETTLES)
def test_a_settle_waits_for_a_server_that_was_killed_after_the_task_ended(rig: Rig, verb: str) -> None:
    worker, far = joined(rig.queue), rig.far()
    attempt = started(rig.queue, worker)
    rig.server.kill()
    settling = rig.submit(SETTLES[verb], far, worker, attempt)
    until(lambda: rig.proxy.accepted > 3, "it is tried again")
    rig.server.start()

    assert settling.result(LIMIT_S) is Verdict.OK
    assert status(rig.queue, attempt.id) is ENDS[verb]
    assert record(rig.queue, attempt.id).get("retries", "0") == str(int(verb == "retry"))
    assert rig.claimed(worker) == []


@pytest.mark.parametrize("verb", SETTLES)
def test_a_settle_that_a_killed_server_has_written_but_not_answered_is_counted_once(rig: Rig, verb: str) -> None:
    worker, far = joined(rig.queue), rig.far()
    attempt = started(rig.queue, worker)
    rig.proxy.black_hole(commands=False)
    settling = rig.submit(SETTLES[verb], far, worker, attempt)
    until(lambda: status(rig.queue, attempt.id) is ENDS[verb], "it was performed")
    before = record(rig.queue, attempt.id)
    rig.server.kill()
    rig.proxy.reset()
    rig.proxy.heal()
    rig.server.start()

    assert settling.result(LIMIT_S) is Verdict.OK
    assert record(rig.queue, attempt.id) == before


@pytest.mark.parametrize("timeout_s", [SHORT_TIMEOUT_S, connection.COMMAND_TIMEOUT_S])
def test_no_call_fails_when_the_server_stands_still_for_three_seconds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_S", timeout_s)
    busy, idle, fresh = joined(rig.queue), joined(rig.queue), new()
    attempt, waiting = started(rig.queue, busy), enqueued(rig.queue)
    links = [rig.far() for _ in range(4)]
    rig.server.signal(signal.SIGSTOP)
    try:
        settled = rig.submit(SETTLES["retry"], links[0], busy, attempt)
        claimed = rig.submit(claim, links[1], idle)
        stored = rig.submit(links[2].enqueue, fresh)
        read = rig.submit(Inspector(links[3].link).get, attempt.id)
        time.sleep(3)  # the fault itself
    finally:
        rig.server.signal(signal.SIGCONT)

    assert settled.result(LIMIT_S) is Verdict.OK
    assert record(rig.queue, attempt.id)["retries"] == "1"
    assert (claimed.result(LIMIT_S).id, claimed.result().attempt) == (waiting, 1)
    assert stored.result(LIMIT_S).run_at_ms is None
    assert entries(rig.queue, rig.queue.keys.pending) == [fresh.id]
    assert read.result(LIMIT_S) is not None
    assert rig.proxy.accepted <= len(links) * (2 + 3 / timeout_s)  # no stampede
