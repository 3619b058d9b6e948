"""What only a mutation showed to be untested: each of these fails under a change that all other tests let pass."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator

import pytest

from taskq.maintenance.burial import Undertaker
from taskq.maintenance.maintenance import LINGER_S, Maintenance, Rhythm
from taskq.maintenance.messages import Born, Died
from taskq.maintenance.reports import Held
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.retry import Backoff
from taskq.task import Status, Verdict
from tests.integration.steps import (
    EVERY_SETTLE,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    lease_ms,
    members,
    moved,
    reap,
    record,
    snapshot,
    started,
    status,
    trip,
)

LONG_S = 300.0


class Vouched:
    """What the supervisor says about its workers: those in these seats run."""

    def __init__(self) -> None:
        self.seats: set[int] = set()

    def alive(self, seat: int) -> bool:
        return seat in self.seats

    def resident_bytes(self, seat: int) -> int:
        return 0

    def busy_now(self, seat: int) -> bool:
        return False

    def held(self, seat: int) -> Held | None:
        return None


@pytest.fixture
def undertaker(inspector: Inspector) -> Undertaker:
    return Undertaker(inspector, Registry(), backoff=Backoff(first=LONG_S), max_crashes=3)


@pytest.fixture
def vouched() -> Vouched:
    return Vouched()


@pytest.fixture
def maintenance(inspector: Inspector, undertaker: Undertaker, vouched: Vouched, queue: Queue) -> Iterator[Maintenance]:
    """Maintenance whose rhythm is too slow to take any time in a test for an outage."""
    ours, theirs = multiprocessing.Pipe()
    maintenance = Maintenance(
        inspector, undertaker, vouched, ours, rhythm=Rhythm(lease_s=LONG_S, reap_s=LONG_S), retention={}
    )
    maintenance.queues = [queue.name]
    yield maintenance
    ours.close()
    theirs.close()


@pytest.mark.parametrize("verb", EVERY_SETTLE)
def test_a_settle_is_stale_when_the_task_is_not_in_the_list_of_its_worker(queue: Queue, verb: str) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.link.redis.delete(queue.keys.processing(worker))
    before = snapshot(queue)

    assert EVERY_SETTLE[verb](queue, worker, attempt) is Verdict.STALE
    assert snapshot(queue) == before


def test_a_wait_for_nothing_ends_in_its_own_time_and_with_its_connection(link: Link, queue: Queue) -> None:
    clients = len(link.redis.client_list())
    began = time.monotonic()

    assert link.block_move(queue.keys.pending, queue.keys.processing("w"), 0.3) is None
    assert time.monotonic() - began >= 0.3
    assert len(link.redis.client_list()) == clients + 1


def test_a_worker_that_was_reaped_as_dead_claims_no_more(queue: Queue) -> None:
    worker = joined(queue)
    reap(queue, worker, dead=True)

    assert lease_ms(queue, worker) <= 0


def test_extend_prolongs_only_the_leases_of_workers_that_the_supervisor_vouches_for(
    queue: Queue, maintenance: Maintenance, vouched: Vouched
) -> None:
    running, stopped = joined(queue), joined(queue)
    maintenance.workers = {
        running: Born(worker_id=running, queue=queue.name, seat=1),
        stopped: Born(worker_id=stopped, queue=queue.name, seat=2),
    }
    vouched.seats = {1}

    maintenance.extend()

    assert lease_ms(queue, running) > LONG_S / 2 * 1000
    assert lease_ms(queue, stopped) < LONG_S / 2 * 1000


def test_the_list_of_a_silent_worker_is_watched_for_commands_that_are_still_on_their_way(
    queue: Queue, maintenance: Maintenance
) -> None:
    worker = joined(queue)
    lapse(queue, worker)
    maintenance.reap()
    task_id = enqueued(queue)
    assert moved(queue, worker) == task_id

    maintenance.reap()

    assert entries(queue, queue.keys.pending) == [task_id]


def test_a_silent_worker_is_forgotten_in_the_end(queue: Queue, maintenance: Maintenance) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=round(LINGER_S * 1000) + 1000)

    maintenance.reap()

    assert members(queue, queue.keys.leases) == []


Bury = Callable[..., dict[str, str]]


@pytest.fixture
def bury(queue: Queue, undertaker: Undertaker) -> Bury:
    """Lets a worker die of a cause under a task, and tells what the record says once it is buried."""

    def bury(cause: str, **fields: int) -> dict[str, str]:
        worker = joined(queue)
        attempt = started(queue, worker, **fields)
        died = Died(worker_id=worker, queue=queue.name, cause=cause, task_id=attempt.id, attempt=attempt.attempt)
        undertaker.bury(died)
        assert entries(queue, queue.keys.processing(worker)) == []
        return record(queue, attempt.id)

    return bury


@pytest.mark.parametrize(
    ("cause", "became", "retries", "crashes"),
    [
        ("crash", Status.PENDING, "0", "1"),
        ("timeout", Status.SCHEDULED, "1", "0"),
        ("memory", Status.SCHEDULED, "1", "0"),
        ("drain", Status.PENDING, "0", "0"),
    ],
)
def test_a_death_is_paid_for_by_the_budget_of_its_cause(
    bury: Bury, cause: str, became: Status, retries: str, crashes: str
) -> None:
    found = bury(cause)

    assert found["status"] == became
    assert found.get("retries", "0") == retries
    assert found.get("crashes", "0") == crashes


@pytest.mark.parametrize("cause", ["timeout", "memory"])
def test_a_limit_fails_a_task_whose_retries_are_used_up(bury: Bury, cause: str) -> None:
    assert bury(cause, max_retry=0)["status"] == Status.FAILED


def test_what_a_dead_worker_had_claimed_beside_its_task_is_given_back(queue: Queue, undertaker: Undertaker) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    task_id = enqueued(queue)
    assert moved(queue, worker) == task_id

    undertaker.bury(Died(worker_id=worker, queue=queue.name, cause="timeout", task_id=attempt.id, attempt=attempt.attempt))

    assert status(queue, attempt.id) is Status.SCHEDULED
    assert claim(queue, joined(queue)).id == task_id


@pytest.mark.parametrize("cause", ["crash", "exited"])
@pytest.mark.parametrize(("started_tasks", "crashes"), [(1, 1), (2, 0)])
def test_a_worker_that_ran_none_of_several_tasks_leaves_nobody_to_blame(
    queue: Queue, undertaker: Undertaker, cause: str, started_tasks: int, crashes: int
) -> None:
    worker = joined(queue)
    first = started(queue, worker)
    for _ in range(1, started_tasks):
        enqueued(queue)
        trip(queue, worker, claims=1)

    undertaker.bury(Died(worker_id=worker, queue=queue.name, cause=cause))

    found = claim(queue, joined(queue))
    assert (found.id, found.crashes) == (first.id, crashes)
