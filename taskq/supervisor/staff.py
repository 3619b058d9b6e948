"""The workers of a service as a whole: seats are added and retired, filled and vacated, vouched for and kept to limits."""

from __future__ import annotations

import logging
import os
import signal
import time

from taskq import hosts
from taskq.deaths import cause_of
from taskq.log import emit
from taskq.maintenance.messages import Born, Died, LeaseLapsed, StopAttempt
from taskq.supervisor.child import WORKER_EXITS, Service, fork, new_id, worker_child
from taskq.supervisor.nurse import Nurse
from taskq.supervisor.seats import Action, Seat
from taskq.supervisor.slots import Running
from taskq.supervisor.strays import end_group
from taskq.worker.control import State, StopReason
from taskq.worker.worker import STOP_SIGNAL

MEMORY_TICK_S = 0.1
DRAIN_GRACE_S = 1.0
CANCEL_GRACE_S = 1.0

_SILENT = ("", "T", "t", "Z", "X")
"""States in which a process does nothing any more, or not before somebody lets it: it is gone, stopped, traced, dead."""


class Staff:
    """Every seat of every pool. What happens to a worker is told to maintenance through `nurse`."""

    def __init__(self, service: Service, nurse: Nurse) -> None:
        self.service = service
        self.nurse = nurse
        self.seats: list[Seat] = []
        self.set_seats()

    # -- seats

    def set_seats(self) -> None:
        """Bring the seats in line with the pools: new ones are added, surplus ones retire, every worker is renewed."""
        pools = self.service.config.pools
        for seat in self.seats:
            seat.slot.order_drain()
            pool = pools.get(seat.pool_name)
            if pool is None or pool.queue != seat.pool.queue:
                seat.retiring = True
            else:
                seat.pool = pool
        for name, pool in pools.items():
            seats = [seat for seat in self.seats if seat.pool_name == name and not seat.retiring]
            for seat in seats[pool.workers :]:
                seat.retiring = True
            for _ in range(pool.workers - len(seats)):
                self._add_seat(name)

    def more(self) -> None:
        """One worker more in the first pool."""
        for name in list(self.service.config.pools)[:1]:
            self._add_seat(name)

    def fewer(self) -> None:
        """One worker less, the newest; it ends what it runs first."""
        for seat in reversed(self.seats):
            if not seat.retiring:
                seat.retiring = True
                seat.slot.order_drain()
                return

    def fill(self, now: float) -> None:
        """Fork a worker for every empty seat whose time has come."""
        for seat in self.seats:
            if seat.process is None and not seat.retiring and now >= seat.start_at:
                self._seat_worker(seat, now)

    @property
    def present(self) -> list[Seat]:
        """The seats that have a worker."""
        return [seat for seat in self.seats if seat.process is not None]

    def collect_deaths(self, now: float) -> None:
        """Notice workers that have ended."""
        for seat in self.present:
            if seat.process is not None and seat.process.exitcode is not None:
                self._vacate(seat, seat.process.pid or 0, seat.process.exitcode, now)
        self.seats = [seat for seat in self.seats if seat.process is not None or not seat.retiring]

    # -- limits

    def enforce(self, now: float, drain_started: float | None) -> None:
        """Interrupt or kill what is beyond a limit, was cancelled, or outlasts a drain that began at `drain_started`; wake
        who is idle and shall end."""
        for seat in self.present:
            running = seat.slot.running()
            if running is not None:
                self._look_at(seat, running, now, drain_started)
            match seat.next_action(running, now):
                case Action.INTERRUPT:
                    seat.interrupted(now)
                    _signal(seat, STOP_SIGNAL)
                case Action.WAKE:
                    seat.woken(now)
                    _signal(seat, STOP_SIGNAL)
                case Action.KILL:
                    self._kill(seat, seat.stop_reason)

    def _look_at(self, seat: Seat, running: Running, now: float, drain_started: float | None) -> None:
        if running.deadline_ns and now * 1e9 >= running.deadline_ns:
            seat.want_stop(running, StopReason.TIMEOUT, now, self.service.config.tasks.kill_grace)
        if drain_started is not None and now >= drain_started + seat.pool.drain:
            seat.want_stop(running, StopReason.DRAIN, now, DRAIN_GRACE_S)
        if running.memory_limit_bytes:
            self._sample(seat, running)
            if seat.resident_bytes > running.memory_limit_bytes and seat.slot.state is State.RUNNING:
                self._kill(seat, StopReason.MEMORY)

    def hear(self, message: LeaseLapsed | StopAttempt) -> None:
        """Act on what maintenance learned from Redis."""
        seat = next((seat for seat in self.present if seat.worker_id == message.worker_id), None)
        if seat is None:
            return
        running = seat.slot.running()
        if isinstance(message, LeaseLapsed):
            self._kill(seat, StopReason.LEASE)
        elif running and (running.task_id, running.attempt) == (message.task_id, message.attempt):
            grace_s = min(CANCEL_GRACE_S, self.service.config.tasks.kill_grace)
            seat.want_stop(running, StopReason.CANCELLED, time.monotonic(), grace_s)

    def hurry(self, now: float, drain_started: float) -> None:
        """Past the end of a drain, kill a worker that has nothing to interrupt and yet does not end."""
        for seat in self.present:
            over_s = now - drain_started - seat.pool.drain
            if over_s >= DRAIN_GRACE_S:
                self.service.board.stop_now = True
            if over_s >= 2 * DRAIN_GRACE_S or (over_s >= DRAIN_GRACE_S and seat.slot.running() is None):
                self._kill(seat, StopReason.DRAIN)

    # -- time

    def vouch(self) -> None:
        """Say of every worker that is alive and not stopped that it is."""
        for seat in self.present:
            if hosts.state(_pid(seat)) not in _SILENT:
                seat.slot.vouch()

    def sample(self) -> None:
        """Look at the memory of every worker that does something, so that a crash can be told with its peak."""
        for seat in self.present:
            if seat.may_have_grown():
                self._sample(seat, seat.slot.running())

    def wakes(self, now: float, *, filling: bool) -> list[float]:
        """The moments at which a seat wants attention; empty seats count only while they are being filled."""
        wakes = []
        for seat in self.seats:
            running = seat.slot.running() if seat.process else None
            wake = seat.wakes_at(running)
            if wake is not None and (seat.process or filling):
                wakes.append(wake)
            if running and running.memory_limit_bytes:
                wakes.append(now + MEMORY_TICK_S)
        return wakes

    # -- helpers

    def _add_seat(self, pool_name: str) -> None:
        taken = {seat.index for seat in self.seats}
        index = next((i for i in range(self.service.board.size) if i not in taken), None)
        if index is None:
            emit("supervisor.refused", logging.WARNING, "no room for another worker; restart the service with more")
            return
        pool = self.service.config.pools[pool_name]
        self.seats.append(Seat(index=index, pool_name=pool_name, pool=pool, slot=self.service.board.slot(index)))

    def _seat_worker(self, seat: Seat, now: float) -> None:
        replaces = seat.worker_id or None
        seat.slot.reset()
        worker_id = new_id(f"w{seat.index + 1}")
        self.service.outputs.create(worker_id)
        seat.process = fork(worker_child, self.service, seat.index, worker_id, seat.pool_name)
        pid = _pid(seat)
        try:
            os.setpgid(pid, pid)  # the child does the same: whoever is first, the group exists before it may be killed
        except (PermissionError, ProcessLookupError):
            pass
        seat.seated(worker_id, now)
        seat.slot.vouch()
        self.nurse.tell(Born(worker_id, seat.pool.queue, seat.index))
        if replaces:
            emit("worker.replaced", worker_id=worker_id, replaces=replaces, pid=pid, pool=seat.pool_name)

    @staticmethod
    def _sample(seat: Seat, running: Running | None) -> None:
        # a child that isolates the attempt is what it would be in the worker itself: its pages count once
        resident = max(hosts.resident_bytes(pid) for pid in (_pid(seat), seat.slot.child) if pid)
        if resident:  # a dead process has none
            seat.sampled(running, resident)

    def _vacate(self, seat: Seat, pid: int, code: int, now: float) -> None:
        end_group(pid)
        running = seat.slot.running()
        died = _death(seat, running, code)
        at_fault = died.cause == "crash" and running is None and code != WORKER_EXITS["lease_lost"]
        emit(
            "worker.exited",
            logging.INFO if code == 0 else logging.WARNING,
            worker_id=seat.worker_id,
            pid=pid,
            exit_code=died.exit_code,
            signal=died.signal,
            cause=died.cause,
            task_id=died.task_id,
            output=self.service.outputs.tail(seat.worker_id) if at_fault else None,
        )
        self.nurse.tell(died)
        seat.vacated(now, at_fault=at_fault)

    def _kill(self, seat: Seat, reason: StopReason) -> None:
        seat.killed_for = reason
        running = seat.slot.running()
        emit(
            "task.stopped" if running else "worker.killed",
            logging.WARNING,
            worker_id=seat.worker_id,
            task_id=running.task_id if running else None,
            attempt=running.attempt if running else None,
            cause=reason.name.lower(),
        )
        _signal(seat, signal.SIGKILL, group=True)


def _death(seat: Seat, running: Running | None, code: int) -> Died:
    cause = "exited" if code == 0 else "crash"
    if seat.killed_for is not StopReason.NONE:
        cause = seat.killed_for.name.lower()
    signal_name, exit_code = cause_of(code)
    told = seat.slot.told() if running else None
    return Died(
        worker_id=seat.worker_id,
        queue=seat.pool.queue,
        cause=cause,
        task_id=running.task_id if running else None,
        attempt=running.attempt if running else 0,
        exit_code=exit_code,
        signal=signal_name,
        peak_rss_bytes=seat.peak_of(running) or None,
        progress=told[1] if told else None,
        unsent=seat.slot.tray.read() if seat.slot.tray is not None else [],
        limit_s=round((running.deadline_ns - running.started_ns) / 1e9, 3) if running and running.deadline_ns else None,
    )


def _pid(seat: Seat) -> int:
    return (seat.process.pid if seat.process else None) or 0


def _signal(seat: Seat, number: signal.Signals, *, group: bool = False) -> None:
    pid = _pid(seat)
    try:
        if pid:
            (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile; its death is noticed in the next turn
