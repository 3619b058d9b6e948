"""What only a mutation showed to be untested: each of these failed under a change that every other test let pass."""

from __future__ import annotations

import multiprocessing

from taskq.maintenance.burial import Undertaker
from taskq.maintenance.maintenance import Maintenance, Rhythm
from taskq.maintenance.messages import Born
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.retry import Backoff
from tests.integration.steps import joined, lease_ms


class Vouched:
    """What the supervisor says about its workers: those in these seats run."""

    def __init__(self, *seats: int) -> None:
        self.seats = seats

    def alive(self, seat: int) -> bool:
        return seat in self.seats


def test_extend_prolongs_only_the_leases_of_workers_that_the_supervisor_vouches_for(
    queue: Queue, inspector: Inspector
) -> None:
    running, stopped = joined(queue), joined(queue)
    ours, theirs = multiprocessing.Pipe()
    undertaker = Undertaker(inspector, Registry(), backoff=Backoff(), max_crashes=3)
    rhythm = Rhythm(lease_s=300.0)
    maintenance = Maintenance(inspector, undertaker, Vouched(1), ours, rhythm=rhythm, retention={})
    maintenance.workers = {
        running: Born(worker_id=running, queue=queue.name, seat=1),
        stopped: Born(worker_id=stopped, queue=queue.name, seat=2),
    }

    maintenance.extend()

    assert lease_ms(queue, running) > 100_000
    assert lease_ms(queue, stopped) < 100_000
    ours.close()
    theirs.close()
