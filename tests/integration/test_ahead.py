"""Claims ahead of need: no task waits behind a long one, is lost, or runs twice for being claimed early."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import NoReturn

import pytest

from taskq.errors import LeaseLost, QueueUnavailable
from taskq.limits import Limit
from taskq.maintenance.claims import LONG_S, Busy, Claims
from taskq.maintenance.messages import Born
from taskq.queue.ahead import Answer, Completion, Stream
from taskq.queue.inspect import Inspector
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.standing import standing
from taskq.shelf import Shelf, Ticket
from taskq.task import Attempt, Status, Verdict
from taskq.worker.ahead import Ahead
from tests.integration.steps import claim, entries, joined, lapse, new, reap, record, status

MOST = 8


class Worker:
    """A worker's side of claiming ahead, without a process: it claims, "runs" and completes."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.id = joined(queue)
        self.shelf = Shelf()
        self.verdicts: list[tuple[str, Verdict | None]] = []
        self.ahead = Ahead(queue, self.id, MOST, self.shelf, self.heard)
        self.ran: list[str] = []

    def heard(self, answer: Answer) -> None:
        assert answer.completion is not None
        self.verdicts.append((answer.completion.attempt.id, answer.verdict))

    def next(self) -> Attempt | None:
        return self.ahead.next() or self.queue.claim(self.id)

    def run(self, attempt: Attempt, *, more: bool = True) -> None:
        self.ran.append(attempt.id)
        if self.ahead.singly():
            verdict, _ = self.queue.complete(self.id, attempt, b"1")
            self.verdicts.append((attempt.id, verdict))
        else:
            self.ahead.complete(Completion(attempt, b"1", 0.0), more=more)

    def run_all(self) -> None:
        while (attempt := self.next()) is not None:
            self.run(attempt)

    def run_until_claimed_ahead(self) -> Attempt:
        """Run tasks until others are started that wait here; returns the one to run now."""
        for _ in range(4 * MOST):
            attempt = self.next()
            assert attempt is not None
            if len(entries(self.queue, self.queue.keys.processing(self.id))) >= 4:
                return attempt
            self.run(attempt)
        pytest.fail("nothing was claimed ahead")

    def waiting(self) -> list[str]:
        """What is claimed and does not run, the oldest first."""
        return entries(self.queue, self.queue.keys.processing(self.id))[1:]


@pytest.fixture
def worker(queue: Queue) -> Iterator[Worker]:
    made = Worker(queue)
    yield made
    with contextlib.suppress(LeaseLost):
        made.ahead.give_back()
    made.shelf.close()


@pytest.fixture
def other(queue: Queue) -> Iterator[Worker]:
    made = Worker(queue)
    yield made
    with contextlib.suppress(LeaseLost):
        made.ahead.give_back()
    made.shelf.close()


def enqueued(queue: Queue, count: int = 50) -> list[str]:
    tasks = [new() for _ in range(count)]
    queue.enqueue_many(tasks)
    return [task.id for task in tasks]


def cut(queue: Queue) -> None:
    """Close every connection on which scripts ran."""
    for client in queue.link.redis.client_list(_type="normal"):
        if client["cmd"] == "evalsha":
            queue.link.redis.client_kill_filter(_id=client["id"])


class Seen:
    """What maintenance sees of one worker: the attempts that it runs, look by look, the last one for ever."""

    def __init__(self, shelf: Shelf, *runs: Attempt | None, for_s: float = 2 * LONG_S) -> None:
        self._shelf = shelf
        self._runs = list(runs)
        self._for_s = for_s

    def busy(self, _seat: int) -> Busy | None:
        attempt = self._runs.pop(0) if len(self._runs) > 1 else self._runs[0]
        return Busy(hash(attempt.id), attempt.id, attempt.attempt, self._for_s) if attempt else None

    def tickets(self, _seat: int) -> list[Ticket]:
        return self._shelf.clear()


def test_every_task_runs_once_and_in_order(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue)

    worker.run_all()

    assert worker.ran == ids
    assert worker.verdicts == [(task_id, Verdict.OK) for task_id in ids]
    assert {status(queue, task_id) for task_id in ids} == {Status.COMPLETED}


def test_never_more_is_claimed_than_is_allowed(queue: Queue, worker: Worker) -> None:
    enqueued(queue)
    held = []
    while (attempt := worker.next()) is not None:
        worker.run(attempt)
        held.append(len(entries(queue, queue.keys.processing(worker.id))))

    assert 4 <= max(held) <= MOST + 1


def test_what_waits_behind_a_long_task_goes_back_to_the_head(
    queue: Queue, inspector: Inspector, worker: Worker, other: Worker
) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    waiting = worker.waiting()
    claims = Claims(inspector, Seen(worker.shelf, running))

    claims.free({worker.id: Born(worker.id, queue.name, 0)})

    assert entries(queue, queue.keys.processing(worker.id)) == [running.id]
    assert entries(queue, queue.keys.pending) == ids[ids.index(running.id) + 1 :], "the order has changed"
    other.run_all()
    worker.run(running)
    worker.run_all()
    assert sorted(worker.ran + other.ran) == sorted(ids), "a task ran twice, or never"
    assert {verdict for _, verdict in worker.verdicts + other.verdicts} == {Verdict.OK}
    assert {record(queue, task_id).get("retries", "0") for task_id in waiting} == {"0"}


def test_nothing_is_taken_from_a_worker_whose_task_is_short(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    waiting = worker.waiting()

    Claims(inspector, Seen(worker.shelf, running, for_s=LONG_S / 2)).free({worker.id: Born(worker.id, queue.name, 0)})

    assert worker.waiting() == waiting


def test_what_has_run_is_not_put_back_while_its_result_is_on_its_way(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue, 4)
    stream, attempts = Stream(queue, worker.id), [claim(queue, worker.id)]
    for _ in range(3):
        stream.claim()
        following = stream.answer().following
        assert following is not None
        attempts.append(following)
    stream.close()
    ran, running, *_ = attempts

    put_back(queue, worker.id, running.id, running.attempt)

    assert entries(queue, queue.keys.processing(worker.id)) == [ran.id, running.id]
    assert entries(queue, queue.keys.pending) == ids[2:]
    assert queue.complete(worker.id, ran, b"1")[0] is Verdict.OK


def test_nothing_is_put_back_that_was_claimed_before_the_newest_task(queue: Queue, worker: Worker) -> None:
    enqueued(queue, 2)
    stream, ran = Stream(queue, worker.id), claim(queue, worker.id)
    stream.claim()
    running = stream.answer().following
    stream.close()
    assert running is not None

    assert put_back(queue, worker.id, running.id, running.attempt) == []
    assert entries(queue, queue.keys.processing(worker.id)) == [ran.id, running.id]


def test_a_worker_that_has_gone_on_is_left_alone(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    """Its next task has begun while the tickets were taken; the server does not know yet that the one before ended."""
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    following = worker.next()
    claims = Claims(inspector, Seen(worker.shelf, running, following))

    claims.free({worker.id: Born(worker.id, queue.name, 0)})

    assert following is not None
    worker.run(running)
    worker.run(following)
    worker.run_all()
    assert sorted(worker.ran) == sorted(ids)
    assert {verdict for _, verdict in worker.verdicts} == {Verdict.OK}


def test_what_is_put_back_too_late_is_the_workers_again(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    worker.shelf.clear()
    worker.run(running)
    following = worker.next()
    assert following is not None

    assert put_back(queue, worker.id, running.id, running.attempt) == []

    worker.run(following)
    worker.run_all()
    assert sorted(worker.ran) == sorted(ids)
    assert {verdict for _, verdict in worker.verdicts} == {Verdict.OK}


def test_tickets_of_another_worker_in_the_same_seat_free_nothing(
    queue: Queue, inspector: Inspector, worker: Worker, other: Worker
) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    waiting = worker.waiting()
    other.shelf.lay(Ticket(1, other.id))

    Claims(inspector, Seen(other.shelf, running)).free({worker.id: Born(worker.id, queue.name, 0)})

    assert worker.waiting() == waiting


def test_a_worker_gives_back_what_died_with_whoever_took_it(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    lost = worker.shelf.clear()

    worker.run(running, more=False)
    worker.run_all()

    assert lost
    assert sorted(worker.ran) == sorted(ids)
    assert {status(queue, task_id) for task_id in ids} == {Status.COMPLETED}


def test_a_task_that_is_cancelled_while_it_waits_never_begins(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    first, second, *_ = worker.waiting()
    claims = Claims(inspector, Seen(worker.shelf, running))

    assert queue.cancel(first) is Status.PROCESSING
    assert queue.cancel(second) is Status.PROCESSING
    stops = queue.stops([worker.id])
    assert [stop.task_id for stop in stops] == [first, second]

    assert claims.stop(Born(worker.id, queue.name, 0), stops[0])
    assert queue.stops([worker.id]) == stops[1:]
    assert claims.stop(Born(worker.id, queue.name, 0), stops[1])
    worker.run(running)
    worker.run_all()
    assert sorted(worker.ran) == sorted(set(ids) - {first, second})
    assert {status(queue, task_id) for task_id in (first, second)} == {Status.CANCELLED}
    assert queue.stops([worker.id]) == []


def test_a_running_task_that_is_cancelled_is_not_on_the_shelf(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    queue.cancel(running.id)
    stop = queue.stops([worker.id])[0]

    assert not Claims(inspector, Seen(worker.shelf, running)).stop(Born(worker.id, queue.name, 0), stop)
    assert queue.stops([worker.id]) == [stop], "the request must stay until the attempt has stopped"


@pytest.mark.parametrize("when", ["before a completion", "before an answer"])
def test_a_cut_connection_loses_and_doubles_nothing(queue: Queue, worker: Worker, when: str) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    if when == "before an answer":
        worker.run(running)
    cut(queue)
    if when == "before a completion":
        worker.run(running)

    worker.run_all()

    assert worker.ran == ids
    assert [task_id for task_id, _ in worker.verdicts] == ids
    assert {status(queue, task_id) for task_id in ids} == {Status.COMPLETED}
    assert {record(queue, task_id).get("crashes", "0") for task_id in ids} == {"0"}


@pytest.mark.parametrize("when", ["before a completion", "before an answer"])
def test_after_a_cut_connection_nothing_waits_behind_the_next_task(
    queue: Queue, worker: Worker, other: Worker, when: str
) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    if when == "before an answer":
        worker.run(running)
    cut(queue)
    if when == "before a completion":
        worker.run(running)

    long = worker.next()

    assert long is not None
    assert entries(queue, queue.keys.processing(worker.id)) == [long.id]
    other.run_all()
    assert sorted([*worker.ran, long.id, *other.ran]) == sorted(ids)


def test_a_task_that_is_cancelled_before_a_cut_connection_is_not_asked_for_again(queue: Queue, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    queue.cancel(worker.waiting()[0])
    cut(queue)

    worker.run(running)

    assert queue.stops([worker.id]) == []


def test_what_came_late_is_put_back_although_no_ticket_is_there(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    """A claim whose connection was given up may reach the server after all, when the next task runs already."""
    ids = enqueued(queue)
    running = worker.next()
    assert running is not None
    late = Stream(queue, worker.id)
    late.claim()
    late.answer()
    claims = Claims(inspector, Seen(worker.shelf, running))

    claims.free({worker.id: Born(worker.id, queue.name, 0)})

    assert entries(queue, queue.keys.processing(worker.id)) == [running.id]
    assert entries(queue, queue.keys.pending) == ids[1:]


@pytest.mark.parametrize("for_s", [2 * LONG_S, 60.0])
def test_what_could_not_be_put_back_at_once_is_put_back_later(
    queue: Queue, inspector: Inspector, worker: Worker, monkeypatch: pytest.MonkeyPatch, for_s: float
) -> None:
    """The tickets are taken by then; whoever took them may also be another process, which has died."""
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    claims, born = Claims(inspector, Seen(worker.shelf, running, for_s=for_s)), Born(worker.id, queue.name, 0)
    with monkeypatch.context() as patch, pytest.raises(QueueUnavailable):
        patch.setattr("taskq.maintenance.claims.put_back", unavailable)
        claims.free({worker.id: born})

    claims.free({worker.id: born})

    assert entries(queue, queue.keys.processing(worker.id)) == [running.id]


def unavailable(*_: object) -> NoReturn:
    raise QueueUnavailable("away")


def test_a_worker_that_was_stopped_begins_nothing_that_others_have_run_meanwhile(
    queue: Queue, worker: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    lapse(queue, worker.id)
    reap(queue, worker.id, dead=False)
    other.run_all()
    monkeypatch.setattr("taskq.worker.ahead.FRESH_NS", -1)

    worker.run(running)
    with pytest.raises(LeaseLost):
        worker.run_all()

    assert worker.ran == ids[: len(worker.ran)], "the last of these is what it ran when it was stopped"
    assert sorted(other.ran) == sorted(set(ids) - set(worker.ran) | {running.id})


def test_what_was_claimed_long_ago_is_given_back(queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    worker.run(running, more=False)
    with monkeypatch.context() as patch:
        patch.setattr("taskq.worker.ahead.FRESH_NS", -1)
        assert worker.ahead.next() is None
        assert entries(queue, queue.keys.processing(worker.id)) == []

    worker.run_all()

    assert sorted(worker.ran) == sorted(ids)


def test_a_worker_whose_lease_has_lapsed_ends_when_it_hears_of_it(queue: Queue, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    known = {*worker.ran, running.id, *worker.waiting()}
    lapse(queue, worker.id)
    worker.run(running)

    with pytest.raises(LeaseLost):
        worker.run_all()

    assert set(worker.ran) <= known, "something was claimed without a lease"


def test_nothing_is_claimed_ahead_where_types_have_limits(queue: Queue, worker: Worker) -> None:
    queue.link.redis.hset(queue.keys.limits, "echo", Limit(max_concurrent=1).stored)
    ids = enqueued(queue, 10)
    held = []
    while (attempt := worker.next()) is not None:
        held.append(len(entries(queue, queue.keys.processing(worker.id))))
        worker.run(attempt)

    assert worker.ran == ids
    assert set(held) == {1}


def released(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The tasks that the log says were given back."""
    lines = [vars(line) for line in caplog.records]
    return sorted(line["task_id"] for line in lines if line.get("event") == "task.released")


def test_what_a_worker_puts_back_after_a_cut_connection_is_logged(
    queue: Queue, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "taskq")
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    cut(queue)

    worker.run(running)

    started = [task_id for task_id in ids if "attempt" in record(queue, task_id)]
    assert released(caplog) == sorted(set(started) - set(worker.ran)) != []


def test_a_worker_that_ends_gives_everything_back(queue: Queue, worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskq")
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    worker.run(running, more=False)

    worker.ahead.give_back()

    assert entries(queue, queue.keys.processing(worker.id)) == []
    assert entries(queue, queue.keys.pending) == [task_id for task_id in ids if task_id not in worker.ran]
    started = [task_id for task_id in ids if "attempt" in record(queue, task_id)]
    assert released(caplog) == sorted(set(started) - set(worker.ran)) != []


def test_of_what_a_worker_holds_the_oldest_is_what_it_runs(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    *_, last = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    for at, task_id in enumerate([running.id, *worker.waiting()]):
        queue.link.redis.hset(queue.keys.task(task_id), "started_at", 1000 + at)
    waiting = inspector.get(last)
    assert waiting

    found = inspector.runs(inspector.workers("default")), standing(inspector, waiting).busy_since_ms

    assert [(run.task_id, run.started_at_ms) for run in found[0].values()] == [(running.id, 1000)]
    assert found[1] == 1000
