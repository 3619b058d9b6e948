"""A seat: the place of one worker in a pool. Workers come and go, the seat and its slot stay. Decisions only, no effects.

Moments are seconds on the monotonic clock.
"""

from __future__ import annotations

import enum
from multiprocessing.process import BaseProcess

import msgspec

from taskq.config import Pool
from taskq.supervisor.slots import Running, Slot
from taskq.worker.control import State, StopReason

QUICK_DEATH_S = 10.0
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
REMIND_EVERY_S = 0.25


class Action(enum.Enum):
    """What the supervisor shall do to a worker now."""

    NOTHING = "nothing"
    INTERRUPT = "interrupt"
    WAKE = "wake"
    KILL = "kill"


class Seat(msgspec.Struct, kw_only=True):
    """One seat. `stop_serial` is the attempt being stopped (0: none), `kill_at` when its worker is killed; `retiring` means
    that the seat is not filled again; `idle_serial` is the last attempt of the worker, once its size was noted while it was
    idle after that."""

    index: int
    pool_name: str
    pool: Pool
    slot: Slot
    worker_id: str = ""
    process: BaseProcess | None = None
    born_at: float = 0.0
    start_at: float = 0.0
    quick_deaths: int = 0
    stop_serial: int = 0
    stop_reason: StopReason = StopReason.NONE
    kill_at: float = 0.0
    remind_at: float = 0.0
    killed_for: StopReason = StopReason.NONE
    resident_bytes: int = 0
    peak_rss_bytes: int = 0
    peak_serial: int = 0
    idle_serial: int | None = None
    retiring: bool = False

    def seated(self, worker_id: str, now: float) -> None:
        """A new worker takes the seat."""
        self.worker_id = worker_id
        self.born_at = now
        self.stop_serial = 0
        self.remind_at = now
        self.stop_reason = self.killed_for = StopReason.NONE
        self.resident_bytes = self.peak_rss_bytes = self.peak_serial = 0
        self.idle_serial = None

    def vacated(self, now: float, *, at_fault: bool) -> None:
        """The worker has ended; `at_fault` when it died by itself, doing nothing. Sets when the seat is filled again."""
        self.process = None
        if not at_fault or now - self.born_at >= QUICK_DEATH_S:
            self.quick_deaths = 0
            self.start_at = now
            return
        self.start_at = now + restart_delay_s(self.quick_deaths)
        self.quick_deaths += 1

    def want_stop(self, running: Running, reason: StopReason, now: float, grace_s: float) -> None:
        """The attempt shall stop: it is interrupted now, and its worker is killed after `grace_s`.

        Wanted again, the first reason and the earliest moment of killing count.
        """
        if self.stop_serial == running.serial:
            self.kill_at = min(self.kill_at, now + grace_s)
            return
        self.stop_serial = running.serial
        self.stop_reason = reason
        self.kill_at = now + grace_s
        self.remind_at = now

    def next_action(self, running: Running | None, now: float) -> Action:
        """What is due for the worker in this seat."""
        if running is None and self._sleeps_in_vain():
            return Action.WAKE if now >= self.remind_at else Action.NOTHING
        if running is None or self.stop_serial != running.serial or self.slot.state is not State.RUNNING:
            return Action.NOTHING
        if now >= self.kill_at:
            return Action.KILL
        return Action.INTERRUPT if now >= self.remind_at else Action.NOTHING

    def interrupted(self, now: float) -> None:
        """Leave the order in the worker's slot; the caller sends the signal, again and again until the attempt ends."""
        self.slot.order_stop(self.stop_serial, self.stop_reason)
        self.remind_at = now + REMIND_EVERY_S

    def woken(self, now: float) -> None:
        """Note that the idle worker gets a signal, so that it sees that it shall end; again and again until it does."""
        self.remind_at = now + REMIND_EVERY_S

    def may_have_grown(self) -> bool:
        """False for a worker that has done nothing since its size was noted: most are idle, and each look costs."""
        return self.slot.state is not State.IDLE or self.slot.serial != self.idle_serial

    def sampled(self, running: Running | None, resident_bytes: int) -> None:
        """Note the resident size of the worker now. The peak is that of one attempt; the next one begins its own."""
        self.resident_bytes = self.slot.resident_bytes = resident_bytes
        self.idle_serial = self.slot.serial if running is None and self.slot.state is State.IDLE else None
        serial = running.serial if running else 0
        self.peak_rss_bytes = max(self.peak_rss_bytes, resident_bytes) if serial == self.peak_serial else resident_bytes
        self.peak_serial = serial

    def peak_of(self, running: Running | None) -> int:
        """The largest size seen in this attempt, else the last one seen of its worker; 0 when there is none."""
        return self.peak_rss_bytes if running and running.serial == self.peak_serial else self.resident_bytes

    def wakes_at(self, running: Running | None) -> float | None:
        """When this seat wants attention next; None: not before something happens."""
        if self.process is None:
            return self.start_at
        if running is None and self._sleeps_in_vain():
            return self.remind_at
        if running is None or self.slot.state is not State.RUNNING:
            return None
        if self.stop_serial == running.serial:
            return min(self.kill_at, self.remind_at)
        return running.deadline_ns / 1e9 if running.deadline_ns else None

    def _sleeps_in_vain(self) -> bool:
        """True for an idle worker that shall claim no more: it may be waiting for a task."""
        return self.slot.state is State.IDLE and self.slot.draining()


def restart_delay_s(quick_deaths: int) -> float:
    """The wait before a seat is filled again after `quick_deaths` workers in a row died at once: 0, then doubling."""
    if quick_deaths == 0:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** (quick_deaths - 1), LONGEST_DELAY_S)
