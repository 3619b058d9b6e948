"""Claims ahead of need: no task waits behind a long one, is lost, or runs twice for being claimed early."""

from __future__ import annotations

import contextlib
import logging
import mmap
from collections.abc import Iterator
from typing import NoReturn

import pytest

from taskq.errors import LeaseLost, QueueUnavailable
from taskq.limits import Limit
from taskq.maintenance.burial import Undertaker
from taskq.maintenance.claims import LONG_S, Busy, Claims
from taskq.maintenance.messages import Born, Died, encode, for_maintenance
from taskq.queue.ahead import Completion, Stream
from taskq.queue.inspect import Inspector
from taskq.queue.putback import put_back
from taskq.queue.queue import Queue
from taskq.queue.standing import standing
from taskq.registry import Registry
from taskq.retry import Backoff
from taskq.shelf import Shelf, Ticket
from taskq.task import Attempt, Status, Verdict
from taskq.tray import TRAY_BYTES, Tray, Unsent
from taskq.worker.ahead import Ahead
from tests.integration.steps import claim, entries, joined, lapse, new, reap, record, status, trip, until

MOST = 8


class Worker:
    """A worker's side of claiming ahead, without a process: it claims, "runs" and completes."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.id = joined(queue)
        self.shelf = Shelf()
        self.verdicts: list[tuple[str, Verdict]] = []
        self.tray = Tray(mmap.mmap(-1, TRAY_BYTES))
        self.ahead = Ahead(Stream(queue, self.id), MOST, self.shelf, self.tray, self.heard)
        self.ran: list[str] = []

    def heard(self, done: Completion, verdict: Verdict) -> None:
        self.verdicts.append((done.attempt.id, verdict))

    def next(self) -> Attempt | None:
        return self.ahead.next() or self.queue.claim(self.id)

    def run(self, attempt: Attempt, *, more: bool = True, for_s: float = 0.0) -> None:
        """The result of a task that took longer than a moment is sent at once."""
        self.ran.append(attempt.id)
        if self.ahead.singly():
            verdict, _ = self.queue.complete(self.id, attempt, b"1")
            self.verdicts.append((attempt.id, verdict))
        else:
            self.ahead.complete(Completion(attempt, b"1", for_s), more=more)

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


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much to do makes no task a long one."""
    monkeypatch.setattr("taskq.worker.ahead.TINY_NS", LONG_S * 1e9 / 2)


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

    def __init__(self, worker: Worker, *runs: Attempt | None, for_s: float = 2 * LONG_S) -> None:
        self._worker = worker
        self._runs = list(runs)
        self._for_s = for_s

    def busy(self, _seat: int) -> Busy | None:
        attempt = self._runs.pop(0) if len(self._runs) > 1 else self._runs[0]
        return Busy(hash(attempt.id), attempt.id, attempt.attempt, self._for_s) if attempt else None

    def tickets(self, _seat: int) -> list[Ticket]:
        return self._worker.shelf.clear()

    def unsent(self, _seat: int) -> list[Unsent]:
        return self._worker.tray.read()


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
    claims = Claims(inspector, Seen(worker, running))

    claims.free({worker.id: Born(worker.id, queue.name, 0)})

    assert entries(queue, queue.keys.processing(worker.id)) == [running.id]
    assert entries(queue, queue.keys.pending) == ids[ids.index(running.id) + 1 :], "the order has changed"
    other.run_all()
    worker.run(running)
    worker.run_all()
    assert sorted(worker.ran + other.ran) == sorted(ids), "a task ran twice, or never"
    assert {verdict for _, verdict in worker.verdicts + other.verdicts} == {Verdict.OK}
    assert {record(queue, task_id).get("retries", "0") for task_id in waiting} == {"0"}


def kept_and_running(queue: Queue, worker: Worker) -> tuple[list[str], Attempt]:
    """The tasks whose results the worker has not sent, and what it runs now."""
    running: Attempt | None = worker.run_until_claimed_ahead()
    while running is not None and len(worker.tray.read()) < 2:
        worker.run(running)
        running = worker.next()
    assert running is not None
    ids = [unsent.task_id for unsent in worker.tray.read()]
    assert {status(queue, task_id) for task_id in ids} == {Status.PROCESSING}
    return ids, running


def test_results_of_tiny_tasks_are_sent_several_at_a_time(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue, 200)
    queue.link.redis.config_resetstat()

    worker.run_all()

    assert worker.ran == ids
    calls = queue.link.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls < len(ids) / 2


@pytest.mark.parametrize(("result", "tiny_ns"), [(b"1", 0), (b'"' + bytes(TRAY_BYTES) + b'"', 60e9)])
def test_the_result_of_a_task_that_was_not_tiny_or_is_large_is_sent_at_once(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch, result: bytes, tiny_ns: float
) -> None:
    enqueued(queue)
    kept, running = kept_and_running(queue, worker)
    monkeypatch.setattr("taskq.worker.ahead.TINY_NS", tiny_ns)

    worker.ahead.complete(Completion(running, result, 0.0), more=True)

    assert worker.tray.read() == []
    worker.ahead.give_back()
    assert {status(queue, task_id) for task_id in (*kept, running.id)} == {Status.COMPLETED}


def test_a_result_that_is_kept_is_stored_while_a_long_task_runs(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    ids = enqueued(queue)
    kept, running = kept_and_running(queue, worker)
    ran = list(worker.ran)

    Claims(inspector, Seen(worker, running)).free({worker.id: Born(worker.id, queue.name, 0)})

    assert {status(queue, task_id) for task_id in kept} == {Status.COMPLETED}
    until(lambda: entries(queue, queue.keys.processing(worker.id)) == [running.id], "what was sent has arrived")
    before = [record(queue, task_id) for task_id in kept]
    worker.run(running)
    worker.run_all()
    assert [record(queue, task_id) for task_id in kept] == before, "the worker has stored it again"
    assert worker.ran == [*ran, running.id, *(task_id for task_id in ids if task_id not in {*ran, running.id})]
    assert worker.verdicts == [(task_id, Verdict.OK) for task_id in worker.ran]


@pytest.mark.parametrize("for_s", [LONG_S / 2, 2 * LONG_S])
def test_a_result_is_left_to_a_worker_that_goes_on(
    queue: Queue, inspector: Inspector, worker: Worker, monkeypatch: pytest.MonkeyPatch, for_s: float
) -> None:
    enqueued(queue)
    kept, running = kept_and_running(queue, worker)
    following = running if for_s < LONG_S else worker.next()
    claims = Claims(inspector, Seen(worker, running, following, for_s=for_s))

    claims.free({worker.id: Born(worker.id, queue.name, 0)})

    assert {status(queue, task_id) for task_id in kept} == {Status.PROCESSING}


def test_a_result_that_could_not_be_stored_at_once_is_stored_later(
    queue: Queue, inspector: Inspector, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued(queue)
    kept, running = kept_and_running(queue, worker)
    claims, born = Claims(inspector, Seen(worker, running)), Born(worker.id, queue.name, 0)
    with monkeypatch.context() as patch, pytest.raises(QueueUnavailable):
        patch.setattr("taskq.maintenance.claims.store", unavailable)
        claims.free({worker.id: born})

    claims.free({worker.id: born})

    assert {status(queue, task_id) for task_id in kept} == {Status.COMPLETED}


def test_what_a_dead_worker_had_not_sent_is_stored_and_only_what_it_ran_is_blamed(
    queue: Queue, inspector: Inspector, worker: Worker, other: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "taskq")
    ids = enqueued(queue)
    kept, running = kept_and_running(queue, worker)
    died = Died(
        worker_id=worker.id, queue=queue.name, cause="crash", task_id=running.id, attempt=1, unsent=worker.tray.read()
    )
    undertaker = Undertaker(inspector, Registry(), backoff=Backoff(), max_crashes=3)

    undertaker.bury(for_maintenance(encode(died)))  # type: ignore[arg-type]
    other.run_all()

    assert {status(queue, task_id) for task_id in ids} == {Status.COMPLETED}
    assert sorted([*worker.ran, *other.ran]) == sorted(ids), "what it had run has run again, or something was lost"
    assert [task_id for task_id in ids if "crashes" in record(queue, task_id)] == [running.id]
    told = [vars(line) for line in caplog.records if vars(line).get("event") == "task.completed"]
    assert [line["task_id"] for line in told] == kept


def test_nothing_is_taken_from_a_worker_whose_task_is_short(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    waiting = worker.waiting()

    Claims(inspector, Seen(worker, running, for_s=LONG_S / 2)).free({worker.id: Born(worker.id, queue.name, 0)})

    assert worker.waiting() == waiting


def test_what_has_run_is_not_put_back_while_its_result_is_on_its_way(queue: Queue, worker: Worker) -> None:
    ids = enqueued(queue, 4)
    ran, (running, *_) = claim(queue, worker.id), trip(queue, worker.id, claims=3).claimed

    put_back(queue, worker.id, running.id, running.attempt)

    assert entries(queue, queue.keys.processing(worker.id)) == [ran.id, running.id]
    assert entries(queue, queue.keys.pending) == ids[2:]
    assert queue.complete(worker.id, ran, b"1")[0] is Verdict.OK


def test_nothing_is_put_back_that_was_claimed_before_the_newest_task(queue: Queue, worker: Worker) -> None:
    enqueued(queue, 2)
    ran, (running,) = claim(queue, worker.id), trip(queue, worker.id, claims=1).claimed

    assert put_back(queue, worker.id, running.id, running.attempt) == []
    assert entries(queue, queue.keys.processing(worker.id)) == [ran.id, running.id]


def test_a_worker_that_has_gone_on_is_left_alone(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    """Its next task has begun while the tickets were taken; the server does not know yet that the one before ended."""
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    following = worker.next()
    claims = Claims(inspector, Seen(worker, running, following))

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

    Claims(inspector, Seen(other, running)).free({worker.id: Born(worker.id, queue.name, 0)})

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
    claims = Claims(inspector, Seen(worker, running))

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

    assert not Claims(inspector, Seen(worker, running)).stop(Born(worker.id, queue.name, 0), stop)
    assert queue.stops([worker.id]) == [stop], "the request must stay until the attempt has stopped"


@pytest.mark.parametrize("for_s", [0.0, LONG_S])
@pytest.mark.parametrize("when", ["before a completion", "before an answer"])
def test_a_cut_connection_loses_and_doubles_nothing(queue: Queue, worker: Worker, when: str, for_s: float) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    if when == "before an answer":
        worker.run(running, for_s=for_s)
    cut(queue)
    if when == "before a completion":
        worker.run(running, for_s=for_s)

    worker.run_all()

    assert worker.ran == ids
    assert [task_id for task_id, _ in worker.verdicts] == ids
    assert {status(queue, task_id) for task_id in ids} == {Status.COMPLETED}
    assert {record(queue, task_id).get("crashes", "0") for task_id in ids} == {"0"}


@pytest.mark.parametrize("when", ["before a completion", "before an answer"])
def test_after_a_cut_connection_nothing_waits_behind_the_next_task(
    queue: Queue, inspector: Inspector, worker: Worker, other: Worker, when: str
) -> None:
    ids = enqueued(queue)
    running = worker.run_until_claimed_ahead()
    if when == "before an answer":
        worker.run(running, for_s=LONG_S)
    cut(queue)
    if when == "before a completion":
        worker.run(running, for_s=LONG_S)

    long = worker.next()

    assert long is not None
    Claims(inspector, Seen(worker, long)).free({worker.id: Born(worker.id, queue.name, 0)})
    assert entries(queue, queue.keys.processing(worker.id)) == [long.id]
    other.run_all()
    assert sorted([*worker.ran, long.id, *other.ran]) == sorted(ids)


def test_the_next_task_is_not_put_back_when_no_more_can_be_asked_for(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = enqueued(queue)
    first = worker.next()
    assert first is not None
    worker.run(first)

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "post", unavailable)
        following = worker.next()

    assert following is not None
    assert entries(queue, queue.keys.processing(worker.id)) == [following.id]
    worker.run(following)
    worker.run_all()
    assert worker.ran == ids


def test_a_result_that_is_kept_is_not_lost_with_an_answer(
    queue: Queue, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = enqueued(queue)
    for _ in range(2):
        attempt = worker.next()
        assert attempt is not None
        worker.run(attempt)
    assert status(queue, worker.ran[1]) is Status.PROCESSING

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "answer", unavailable)
        assert worker.ahead.next() is None

    assert [status(queue, task_id) for task_id in worker.ran] == [Status.COMPLETED] * 2
    worker.run_all()
    assert worker.ran == ids


def test_a_task_that_is_cancelled_before_a_cut_connection_is_not_asked_for_again(queue: Queue, worker: Worker) -> None:
    enqueued(queue)
    running = worker.run_until_claimed_ahead()
    queue.cancel(worker.waiting()[0])
    cut(queue)

    worker.run(running, for_s=LONG_S)

    assert queue.stops([worker.id]) == []


def test_what_came_late_is_put_back_although_no_ticket_is_there(queue: Queue, inspector: Inspector, worker: Worker) -> None:
    """A claim whose connection was given up may reach the server after all, when the next task runs already."""
    ids = enqueued(queue)
    running = worker.next()
    assert running is not None
    trip(queue, worker.id, claims=1)
    claims = Claims(inspector, Seen(worker, running))

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
    claims, born = Claims(inspector, Seen(worker, running, for_s=for_s)), Born(worker.id, queue.name, 0)
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

    worker.run(running, for_s=LONG_S)

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


def test_a_worker_that_ends_before_its_next_task_sends_what_it_kept(queue: Queue, worker: Worker) -> None:
    enqueued(queue)
    kept, following = kept_and_running(queue, worker)
    queue.release(worker.id, following)

    worker.ahead.give_back()

    assert {status(queue, task_id) for task_id in kept} == {Status.COMPLETED}
    assert worker.verdicts == [(task_id, Verdict.OK) for task_id in worker.ran]
    assert entries(queue, queue.keys.processing(worker.id)) == []


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
