"""Stop requests on their way from Redis to the supervisor."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from taskq.maintenance.burial import Undertaker
from taskq.maintenance.maintenance import Maintenance, Rhythm
from taskq.maintenance.messages import Born, StopAttempt, for_supervisor
from taskq.maintenance.reports import Held
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.retry import Backoff
from tests.integration.steps import joined, started


class Seats:
    """Workers of which those in `busy` hold an attempt."""

    def __init__(self) -> None:
        self.busy: set[int] = set()

    def alive(self, seat: int) -> bool:
        return True

    def resident_bytes(self, seat: int) -> int:
        return 0

    def busy_now(self, seat: int) -> bool:
        return seat in self.busy

    def held(self, seat: int) -> Held | None:
        return None


@pytest.fixture
def seats() -> Seats:
    return Seats()


@pytest.fixture
def pipes() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def maintenance(inspector: Inspector, seats: Seats, pipes: tuple[Connection, Connection]) -> Maintenance:
    undertaker = Undertaker(inspector, Registry(), backoff=Backoff(), max_crashes=3)
    return Maintenance(inspector, undertaker, seats, pipes[0], rhythm=Rhythm(), retention={})


def test_a_stop_request_is_told_while_its_worker_is_busy(
    queue: Queue, maintenance: Maintenance, seats: Seats, pipes: tuple[Connection, Connection]
) -> None:
    worker, other = joined(queue, "one"), joined(queue, "two")
    attempt = started(queue, worker)
    maintenance.workers = {name: Born(name, queue.name, seat) for seat, name in enumerate((worker, other))}
    seats.busy = {0, 1}
    queue.cancel(attempt.id)

    maintenance.pass_on_stops()

    assert for_supervisor(pipes[1].recv_bytes()) == StopAttempt(worker, attempt.id, attempt.attempt)
    assert not pipes[1].poll(0)


def test_for_workers_that_hold_nothing_redis_is_not_asked(
    queue: Queue, maintenance: Maintenance, seats: Seats, pipes: tuple[Connection, Connection]
) -> None:
    worker = joined(queue)
    maintenance.workers = {worker: Born(worker, queue.name, 0)}
    queue.link.redis.set(queue.keys.stops, "whoever looks here meets an error")

    maintenance.pass_on_stops()

    assert not pipes[1].poll(0)
