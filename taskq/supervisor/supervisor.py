"""The parent's loop: it forks, watches, limits, drains and stops, and has no connection to anything but its children.

It is single-threaded. Signals are queued and acted on here; what a worker does is read from shared memory; what must be
known about Redis comes from maintenance through a pipe.
"""

from __future__ import annotations

import enum
import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import msgspec
from setproctitle import setproctitle

from taskq import log
from taskq.catalog import publish
from taskq.children import become_subreaper
from taskq.config import Config
from taskq.errors import ConfigError, ExitCode, Fault, StartupError
from taskq.limits import limits_of
from taskq.log import emit
from taskq.supervisor.broker import Broker
from taskq.supervisor.child import Service, api_child, fork, listening_on, warden_child
from taskq.supervisor.nurse import Nurse
from taskq.supervisor.seats import QUICK_DEATH_S, restart_delay_s
from taskq.supervisor.signals import STACKS, SignalQueue, dump_stacks
from taskq.supervisor.staff import Staff
from taskq.supervisor.strays import end_strays
from taskq.supervisor.systemd import Notifier
from taskq.supervisor.warden import mark
from taskq.tokens import read_tokens
from taskq.worker.worker import STOP_SIGNAL

TICK_S = 0.5
VOUCH_EVERY_S = 1.0
STARTING_TICK_S = 0.02
CLOSING_S = 6.0
CLOSING_AT_ONCE_S = 1.0


class Phase(enum.Enum):
    """Where the service stands; it only moves down this list."""

    STARTING = "waiting until Redis was found fit"
    RUNNING = "workers work"
    DRAINING = "nothing new; what runs may end"
    CLOSING = "no worker is left; the API and maintenance end"
    STOPPED = "only the embedded server is left"


class Front(msgspec.Struct):
    """An API process and when it may be started again. `stale`: it has the old configuration and is to be renewed;
    `leaving` is its predecessor, which ends what it has begun."""

    index: int
    process: BaseProcess | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    quick_deaths: int = 0
    stale: bool = False
    leaving: BaseProcess | None = None


class Supervisor:
    """One service from its first fork to its end. `reload` reads the configuration anew."""

    def __init__(self, service: Service, reload: Callable[[], Config]) -> None:
        self.service = service
        self.reload = reload
        self.signals = SignalQueue()
        self.notifier = Notifier()
        self.broker = Broker(service.embedded) if service.embedded else None
        self.nurse = Nurse(service.outputs)
        self.staff = Staff(service, self.nurse)
        self.fronts = [Front(i + 1) for i in range(service.config.api.processes if service.sock else 0)]
        self.warden: BaseProcess | None = None
        self.phase = Phase.STARTING
        self.drain_started: float | None = None
        self.closing_at = 0.0
        self.failure: StartupError | None = None
        self._next_tick = self._vouch_at = 0.0

    def run(self) -> int:
        """Serve until stopped; returns the exit code. Raises StartupError when the service cannot start."""
        self.signals.install()
        become_subreaper()
        mark()
        setproctitle("taskq: supervisor")
        gc.collect()
        gc.freeze()  # pages that no collection touches stay shared with the children
        if self.broker:
            self.broker.start()
        while self.phase is not Phase.STOPPED:
            self._turn()
        if self.warden is not None:
            self.warden.kill()
            self.warden.join()
        if self.broker:
            self.broker.stop()
        emit("supervisor.stopped")
        if self.failure is not None:
            raise self.failure
        return ExitCode.OK

    def _turn(self) -> None:
        """Signals, news, deaths, births, limits; then sleep until the next thing is due."""
        numbers = self.signals.take()
        for number in numbers:
            self._act_on(number)
        for message in self.nurse.receive():
            self.staff.hear(message)
        self.nurse.flush()
        now = time.monotonic()
        self._collect_deaths(now, of_workers=signal.SIGCHLD in numbers or now >= self._vouch_at)
        self._fill(now)
        self.staff.enforce(now, self.drain_started)
        if now >= self._next_tick:
            self._tick(now)
            self._next_tick = now + TICK_S
        self._advance(now)
        self._sleep()

    # -- starting and ending children

    def _fill(self, now: float) -> None:
        """Start whatever should run and does not."""
        if self.phase in (Phase.CLOSING, Phase.STOPPED):
            return
        try:
            if self.broker:
                self.broker.watch()
        except StartupError as error:
            self._give_up(error)
        if self.broker and self.phase is Phase.STARTING and not self.broker.listening:
            return
        if self.warden is None or self.warden.exitcode is not None:
            self.warden = fork(warden_child, self.service)
        self.nurse.start_if_due(self.service, now, self.staff.present)
        self._renew_front()
        for front in self.fronts:
            if front.process is None and now >= front.start_at:
                front.process = fork(api_child, self.service, front.index)
                front.started_at = now
        if self.phase is Phase.STARTING and self.service.board.ready:
            self._begin()
        if self.phase is Phase.RUNNING:
            self.staff.fill(now)

    def _begin(self) -> None:
        self.phase = Phase.RUNNING
        address = listening_on(self.service.sock) if self.service.sock else None
        emit("supervisor.started", address=address, workers=len(self.staff.seats), types=self.service.registry.types())
        self.notifier.tell("READY=1", f"MAINPID={os.getpid()}")

    def _collect_deaths(self, now: float, *, of_workers: bool) -> None:
        """Notice who has ended. To ask for every worker costs: it is done when the kernel says that one has ended, or so."""
        if of_workers:
            self.staff.collect_deaths(now)
        for front in self.fronts:
            if front.leaving is not None and front.leaving.exitcode is not None:
                emit("api.exited", exit_code=front.leaving.exitcode)
                front.leaving = None
            if front.process is not None and front.process.exitcode is not None:
                self._front_ended(front, front.process.exitcode, now)
        code = self.nurse.collect(now)
        if code is not None:
            self._maintenance_ended(code)

    def _front_ended(self, front: Front, code: int, now: float) -> None:
        emit("api.exited", logging.INFO if code == 0 else logging.ERROR, exit_code=code)
        quick = code != 0 and now - front.started_at < QUICK_DEATH_S
        front.start_at = now + (restart_delay_s(front.quick_deaths) if quick else 0.0)
        front.quick_deaths = front.quick_deaths + 1 if quick else 0
        front.process = None
        front.stale = False

    def _renew_front(self) -> None:
        """Let one stale API process go, unless another one is still going: its successor starts at once beside it."""
        if any(front.leaving for front in self.fronts):
            return
        front = next((front for front in self.fronts if front.stale and front.process is not None), None)
        if front is not None and front.process is not None and front.process.pid:
            os.kill(front.process.pid, STOP_SIGNAL)
            front.leaving, front.process, front.stale, front.start_at = front.process, None, False, 0.0

    def _maintenance_ended(self, code: int) -> None:
        emit("maintenance.exited", logging.INFO if code == 0 else logging.ERROR, exit_code=code)
        if not self.service.board.ready and code == ExitCode.SERVER_UNFIT:
            self._give_up(StartupError("the server is not fit to keep tasks; the reason stands above", ExitCode(code)))

    def _give_up(self, error: StartupError) -> None:
        """The service cannot go on: end every child, then report."""
        self.failure = self.failure or error
        self._drain(at_once=True)

    # -- signals

    def _act_on(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._drain(at_once=self.phase in (Phase.DRAINING, Phase.CLOSING))
            case signal.SIGHUP:
                self._reload()
            case signal.SIGTTIN:
                self.staff.more()
            case signal.SIGTTOU:
                self.staff.fewer()
            case signal.SIGUSR1:
                dump_stacks()
                for pid in self._children():
                    os.kill(pid, STACKS)

    def _drain(self, *, at_once: bool) -> None:
        self.service.board.draining = True
        if self.phase in (Phase.STARTING, Phase.RUNNING):
            self.phase = Phase.DRAINING
            self.drain_started = time.monotonic()
            running = sum(1 for seat in self.staff.present if seat.slot.running())
            emit("supervisor.draining", running=running)
            self.notifier.tell("STOPPING=1")
        if at_once:
            # as if every pool's time to drain had run out already
            longest_s = max((pool.drain for pool in self.service.config.pools.values()), default=0.0)
            self.drain_started = min(self.drain_started or 0.0, time.monotonic() - longest_s)
            self.service.board.stop_now = True

    def _reload(self) -> None:
        """Put a new configuration in force, child by child; what was opened before the first fork stays as it is."""
        try:
            config = self._in_force(self.reload())
            tokens = read_tokens(config.api.tokens_file) if config.api.tokens_file else None
        except ConfigError as error:
            for fault in error.faults:
                emit("supervisor.refused", logging.ERROR, str(fault))
            return
        catalog = publish(self.service.registry, config.tasks.defaults)
        limits = limits_of(self.service.registry, config.tasks.limits)
        service = msgspec.structs.replace(self.service, config=config, catalog=catalog, limits=limits, tokens=tokens)
        self.service = self.staff.service = service
        log.set_up(level=config.logging.level, format_=config.logging.format)
        self.staff.set_seats()
        for front in self.fronts:
            front.stale = front.process is not None
        self.nurse.quit()
        emit("supervisor.reloaded")

    def _in_force(self, config: Config) -> Config:
        """The new configuration with what was opened before the first fork. Raises ConfigError when that would leave an
        address that others can reach without protection."""
        old = self.service.config
        if any(pool.prefetch > 1 for pool in config.pools.values()) and not self.service.board.shelves:
            emit("supervisor.refused", logging.WARNING, "prefetch takes a restart, as no pool had it at the start")
        api = msgspec.structs.replace(config.api, listen=old.api.listen, processes=old.api.processes)
        if api.exposed:
            expected = f"a file of tokens while the API listens on {api.listen}, which takes a restart to change"
            raise ConfigError([Fault("reload", "api.tokens_file", expected, "none")])
        return msgspec.structs.replace(config, redis=old.redis, api=api)

    # -- time

    def _tick(self, now: float) -> None:
        self.staff.sample()
        if now >= self._vouch_at:
            self._vouch_at = now + VOUCH_EVERY_S
            self.staff.vouch()
            self.service.outputs.look_at_all(self.service.config.tasks.output_max)
            end_strays(set(self._pids()))
        self.notifier.tell("WATCHDOG=1")

    def _advance(self, now: float) -> None:
        """Move on to the next phase when this one has nothing left."""
        if self.phase is Phase.DRAINING and self.drain_started is not None:
            self.staff.hurry(now, self.drain_started)
            if not self.staff.present:
                self._close(now)
        if self.phase is Phase.CLOSING:
            left = [process for process in (self.nurse.process, *self._front_processes()) if process]
            if now >= self.closing_at:
                for process in left:
                    process.kill()
            if not left:
                self.phase = Phase.STOPPED

    def _close(self, now: float) -> None:
        self.phase = Phase.CLOSING
        self.closing_at = now + (CLOSING_AT_ONCE_S if self.service.board.stop_now else CLOSING_S)
        self.nurse.quit()
        self._stop_fronts()

    def _stop_fronts(self) -> None:
        for process in self._front_processes():
            if process.pid and process.exitcode is None:
                os.kill(process.pid, STOP_SIGNAL)

    def _front_processes(self) -> list[BaseProcess]:
        return [process for front in self.fronts for process in (front.process, front.leaving) if process is not None]

    def _sleep(self) -> None:
        now = time.monotonic()
        wakes = [self._next_tick, *self.staff.wakes(now, filling=self.phase is Phase.RUNNING)]
        if self.phase is Phase.STARTING:
            wakes.append(now + STARTING_TICK_S)
        if self.phase is not Phase.STOPPED:
            readable = [self.signals.fd, *([self.nurse.fd] if self.nurse.fd is not None else [])]
            self.service.outputs.wait(readable, min(wakes), self.service.config.tasks.output_max)

    def _children(self) -> list[int]:
        """The processes that were forked from this one."""
        processes = [self.nurse.process, self.warden, *self._front_processes()]
        processes += [seat.process for seat in self.staff.present]
        return [process.pid for process in processes if process is not None and process.pid]

    def _pids(self) -> list[int]:
        return self._children() + ([self.broker.pid] if self.broker and self.broker.pid else [])
