"""The loop of the maintenance process, and the table of its duties.

A duty is a name, a rhythm and a function; it does a bounded piece of work and says when it wants its next turn. A duty
that fails is logged and tried again at its next turn; while Redis is away all of them wait.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

import msgspec

from taskq import hosts
from taskq.errors import QueueError, QueueUnavailable
from taskq.log import emit
from taskq.maintenance.burial import Undertaker
from taskq.maintenance.claims import Claims
from taskq.maintenance.messages import (
    Born,
    Buried,
    Died,
    LeaseLapsed,
    Quit,
    StopAttempt,
    ToSupervisor,
    encode,
    for_maintenance,
)
from taskq.maintenance.operations import Operator
from taskq.maintenance.reports import Reporter, Seats
from taskq.maintenance.schedules import Timekeeper
from taskq.queue import history
from taskq.queue.inspect import Inspector
from taskq.queue.operations import Operations
from taskq.queue.queue import BATCH, Queue
from taskq.task import Status

PROMOTE_EVERY_S = 0.1
EXPIRE_EVERY_S = 1.0
STOPS_EVERY_S = 0.25
CLAIMS_EVERY_S = 0.05
REPORT_EVERY_S = 0.5
FIRE_EVERY_S = 0.2
PUBLISH_EVERY_S = 10.0
TRIM_EVERY_S = 5.0
OPERATE_EVERY_S = 0.5
FSYNC_EVERY_S = 1.0
FOLD_EVERY_S = 10.0
QUEUES_EVERY_S = 2.0
EARLY_S = 0.1
"""How much earlier than its rhythm says a duty may have its turn, but never more than a quarter of that: duties share an
awakening."""

LINGER_S = 60.0
"""How long the list of a worker that ended without taking leave is watched: a command of its may still be on its way."""


class Duty(msgspec.Struct):
    """One chore. `perform` returns True when it has more to do at once, or in how many seconds it wants its
    next turn if that is before the regular one."""

    name: str
    every_s: float
    perform: Callable[[], bool | float]
    due_at: float = 0.0
    early_s: float = 0.0

    def may_begin(self, now: float) -> bool:
        """True from the moment on at which it may have its turn because somebody is awake."""
        return self.due_at - self.early_s <= now

    def had_turn(self, more: bool | float, now: float) -> None:
        """Set when it wants its next turn, after `perform` has returned `more`."""
        wait_s = self.every_s if more is False else 0.0 if more is True else min(more, self.every_s)
        self.due_at = now + wait_s
        self.early_s = min(EARLY_S, self.every_s / 4) if more is False else 0.0  # what is wanted is not there before


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds between two renewals of a lease of `lease_s`, and between two searches for lapsed ones."""

    heartbeat_s: float = 3.0
    lease_s: float = 15.0
    reap_s: float = 2.0

    @property
    def pause_s(self) -> float:
        """A longer time without any visit means that Redis could not be reached."""
        return min(2 * max(self.heartbeat_s, self.reap_s), self.lease_s / 2)


class Maintenance:
    """Serves every queue under the prefix; leases only for the workers of its own supervisor."""

    def __init__(
        self,
        inspector: Inspector,
        undertaker: Undertaker,
        seats: Seats,
        pipe: Connection,
        *,
        rhythm: Rhythm,
        retention: Mapping[Status, float],
        output_kept_bytes: int = 1 << 16,
        timekeeper: Timekeeper | None = None,
        claims: Claims | None = None,
        fsync: Callable[[], None] | None = None,
    ) -> None:
        self.inspector = inspector
        self.undertaker = undertaker
        self.seats = seats
        self.reporter = Reporter(inspector, seats, output_kept_bytes)
        self.claims = claims
        self.pipe = pipe
        self.rhythm = rhythm
        self.retention = retention
        self.workers: dict[str, Born] = {}
        self.deaths: list[Died] = []
        self.queues: list[str] = []
        self.quitting = False
        self._messages = select.poll()
        self._messages.register(pipe, select.POLLIN)
        self.duties = [
            Duty("bury", STOPS_EVERY_S, self.bury),
            Duty("find_queues", QUEUES_EVERY_S, self.find_queues),
            Duty("reap", rhythm.reap_s, self.reap),
            Duty("extend", rhythm.heartbeat_s, self.extend),
            Duty("stops", STOPS_EVERY_S, self.pass_on_stops),
            *([Duty("free_claims", CLAIMS_EVERY_S, self.free_claims)] if claims is not None else []),
            Duty("progress", REPORT_EVERY_S, self.pass_on_progress),
            Duty("output", REPORT_EVERY_S, self.pass_on_output),
            Duty("promote", PROMOTE_EVERY_S, self.promote),
            Duty("expire", EXPIRE_EVERY_S, self.expire),
            Duty("trim", TRIM_EVERY_S, self.trim),
            Duty("fold", FOLD_EVERY_S, self.fold),
            Duty("operate", OPERATE_EVERY_S, Operator(Operations(inspector)).operate),
        ]
        if timekeeper is not None:
            self.duties += [Duty("fire", FIRE_EVERY_S, timekeeper.fire)] if timekeeper.entries else []
            self.duties.append(Duty("publish", PUBLISH_EVERY_S, timekeeper.publish))
        if fsync is not None:
            self.duties.append(Duty("fsync", FSYNC_EVERY_S, lambda: bool(fsync())))

    def run(self) -> None:
        """Work until told to quit and nothing is left to bury."""
        while not (self.quitting and not self.deaths):
            now = time.monotonic()
            for duty in self.duties:
                if duty.may_begin(now):
                    self._take_turn(duty)
            self._listen(max(0.0, min(duty.due_at for duty in self.duties) - time.monotonic()))

    def bury(self) -> bool:
        """Settle what workers held whose death the supervisor saw."""
        while self.deaths:
            died = self.deaths[0]
            self.reporter.last_words(died)
            self.undertaker.bury(died)
            self.deaths.pop(0)
            self._tell(Buried(died.worker_id))
        return False

    def find_queues(self) -> bool:
        """Learn which queues there are, and make those of our workers known again after a flush."""
        ours = {born.queue for born in self.workers.values()}
        for name in ours:
            self.inspector.queue(name).announce()
        self.queues = sorted(ours.union(self.inspector.queue_names()))
        return False

    def extend(self) -> bool:
        """Renew the leases of the workers that the supervisor vouches for, and tell their sizes."""
        for name in {born.queue for born in self.workers.values()}:
            ours = {
                worker_id: self.seats.resident_bytes(born.seat)
                for worker_id, born in self.workers.items()
                if born.queue == name and self.seats.alive(born.seat)
            }
            for worker_id in self.inspector.queue(name).extend(ours, self.rhythm.lease_s, self.rhythm.pause_s):
                self._report_lapse(worker_id, name)
        return False

    def reap(self) -> bool:
        """Take the tasks of workers that are gone: silent beyond their lease, or dead processes of this machine."""
        for name in self.queues:
            queue = self.inspector.queue(name)
            for worker_id in self._dead_here(name):
                self.undertaker.reap(queue, worker_id, dead=True)
            for worker_id, ago_s in self._lapsed(queue):
                self.undertaker.reap(queue, worker_id, dead=False)
                self._report_lapse(worker_id, name)
                if ago_s > LINGER_S:
                    queue.leave(worker_id)
        return False

    def pass_on_stops(self) -> bool:
        """Tell the supervisor which running attempts were cancelled or deleted."""
        for name in {born.queue for born in self.workers.values()}:
            ours = [worker_id for worker_id, born in self.workers.items() if born.queue == name and self._may_stop(born)]
            for stop in self.inspector.queue(name).stops(ours):
                if self.claims is None or not self.claims.stop(self.workers[stop.worker_id], stop):
                    self._tell(StopAttempt(stop.worker_id, stop.task_id, stop.attempt))
        return False

    def free_claims(self) -> bool:
        """Take back what waits behind a long task in a worker that claims ahead."""
        if self.claims is not None:
            self.claims.free(self.workers)
        return False

    def pass_on_progress(self) -> bool:
        """Put into Redis what running attempts have said about their progress."""
        self.reporter.progress(self.workers)
        return False

    def pass_on_output(self) -> bool:
        """Put into Redis what running attempts have printed."""
        self.reporter.output(self.workers)
        return False

    def promote(self) -> bool | float:
        """Move due tasks of every queue to pending, and let parked ones start whose rate allows it, on time."""
        found = [self.inspector.queue(name).promote() for name in self.queues]
        if max((moved for moved, _ in found), default=0) >= BATCH:
            return True
        return min((next_s for _, next_s in found if next_s is not None), default=False)

    def expire(self) -> bool:
        """End waiting tasks whose time to start is over, whether or not a worker is free to find them."""
        more = [self.inspector.queue(name).expire() for name in self.queues]
        return any(more)

    def fold(self) -> bool | float:
        """Put what was counted in the minute that is over where it belongs in time; the next turn is when this one is."""
        found = [history.fold(self.inspector.queue(name)) for name in self.queues]
        return any(more for more, _ in found) or min((rest_s for _, rest_s in found), default=FOLD_EVERY_S)

    def trim(self) -> bool:
        """Remove tasks that ended longer ago than they are kept."""
        removed = [
            self.inspector.queue(name).trim(status, kept_s)
            for name in self.queues
            for status, kept_s in self.retention.items()
        ]
        return max(removed, default=0) >= BATCH

    # -- helpers

    def _take_turn(self, duty: Duty) -> None:
        try:
            more: bool | float = duty.perform()
        except QueueUnavailable:
            more = False  # Link has said so; everything waits for the same thing
        except QueueError as error:
            more = False
            emit("maintenance.failed", logging.ERROR, f"{duty.name}: {error}", duty=duty.name)
        duty.had_turn(more, time.monotonic())

    def _may_stop(self, born: Born) -> bool:
        """False for a worker that holds nothing. One that claims ahead holds claims also between two attempts."""
        return self.claims is not None or self.seats.busy_now(born.seat)

    def _report_lapse(self, worker_id: str, queue: str) -> None:
        """Tell the supervisor once that a worker of its own has lost its lease; it may be stopped itself."""
        born = self.workers.pop(worker_id, None)
        if born is not None:
            emit("lease.lost", logging.WARNING, worker_id=worker_id, queue=queue)
            self._tell(LeaseLapsed(worker_id))

    def _lapsed(self, queue: Queue) -> list[tuple[str, float]]:
        """Every worker whose lease has ended: those that were dealt with linger, and must not hide new ones."""
        found = queue.lapsed(self.rhythm.pause_s)
        while found and len(found) % BATCH == 0 and (more := queue.lapsed(self.rhythm.pause_s, len(found))):
            found += more
        return found

    def _dead_here(self, name: str) -> list[str]:
        return [worker_id for worker_id, info in self.inspector.worker_infos(name, but=self.workers).items() if _gone(info)]

    def _listen(self, timeout_s: float) -> None:
        """Sleep, but wake at once for a message."""
        while self._messages.poll(timeout_s * 1000):
            timeout_s = 0.0
            message = for_maintenance(self.pipe.recv_bytes())
            if not isinstance(message, Quit) and message.output:
                self.reporter.watch(message.worker_id, recv_handle(self.pipe))
            match message:
                case Born() as born:
                    self.workers[born.worker_id] = born
                    if born.queue not in self.queues:
                        self.queues.append(born.queue)
                case Died() as died:
                    self.workers.pop(died.worker_id, None)
                    self.deaths.append(died)
                    self.duties[0].due_at = 0.0
                case Quit():
                    self.quitting = True

    def _tell(self, message: ToSupervisor) -> None:
        self.pipe.send_bytes(encode(message))


def _gone(info: Mapping[str, object]) -> bool:
    try:
        return hosts.is_ours_and_gone(msgspec.convert(info.get("process"), hosts.ProcessIdentity))
    except msgspec.ValidationError:
        return False
