"""The loop of one worker process: claim, execute, settle.

It never decides when to stop: signals that reach it only make it look at its control, which the supervisor writes.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
from types import FrameType

import msgspec
from setproctitle import setproctitle

from taskq import failpoints, log, spans
from taskq.errors import LeaseLost, QueueFull, QueueRefused, QueueUnavailable, StopTask
from taskq.hosts import resident_bytes
from taskq.log import emit
from taskq.output import Block
from taskq.queue.ahead import Completion, Stream
from taskq.queue.crash import crash
from taskq.queue.queue import Queue
from taskq.queue.reports import Holder
from taskq.registry import Registry
from taskq.task import Attempt, Cancelled, Completed, Crashed, Failed, Outcome, Progress, Released, Retried, Verdict
from taskq.typeoptions import Options
from taskq.worker.ahead import Ahead
from taskq.worker.alarm import Alarm
from taskq.worker.capture import Capture
from taskq.worker.context import Context, logged
from taskq.worker.control import Control, State
from taskq.worker.executor import Defaults, Limits, execute, limits_of, outcome_of
from taskq.worker.hygiene import Baseline
from taskq.worker.isolation import Isolation
from taskq.worker.settled import log_settled

BLOCK_S = 10.0
"""How long one wait for a task lasts if no stop signal ends it: each one costs the worker and Redis a few commands."""

FULL_S = 1.0
"""How long a worker sleeps before it asks a full Redis again."""

KNOWN_MAX = 256
"""Of how many pairs of a type and a time limit the rules are remembered."""

STOP_SIGNAL = signal.SIGUSR2
"""Sent by the supervisor after it has written a stop order, and to an idle worker that shall claim no more."""


class Ending(msgspec.Struct, frozen=True):
    """Why a worker's loop ended: drained, recycled, lease_lost or refused."""

    reason: str


class Recycling(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker process ends by itself between two tasks; 0: never."""

    max_tasks: int = 0
    max_memory_bytes: int = 0


class Worker:
    """One worker. `run` returns when it shall end; everything it held is then settled or released."""

    def __init__(
        self,
        worker_id: str,
        queue: Queue,
        registry: Registry,
        control: Control,
        *,
        pool: str = "default",
        defaults: Defaults | None = None,
        recycling: Recycling | None = None,
        capture: Capture | None = None,
        prefetch: int = 1,
    ) -> None:
        self.worker_id = worker_id
        self.queue = queue
        self.registry = registry
        self.control = control
        self.pool = pool
        self.defaults = defaults or Defaults()
        self.recycling = recycling or Recycling()
        self.capture = capture
        self._ahead: Ahead | None = None
        if prefetch > 1 and control.shelf is not None and control.tray is not None:
            self._ahead = Ahead(Stream(queue, worker_id), prefetch - 1, control.shelf, control.tray, self._heard)
        self._isolation = Isolation(control, self.defaults.result_max_bytes, capture.flush if capture else lambda: None)
        self.tasks_done = 0
        self._serial = 0
        self._titled_idle = False
        self._found_nothing = False
        self._baseline: Baseline | None = None
        self._damage: str | None = None
        self._interruptible = False
        self._alarm = Alarm()
        self._limits = Limits(None, None)
        self._known: dict[tuple[str, float | None], tuple[Options, Limits]] = {}

    def run(self) -> Ending:
        """Work until drained, recycled or refused. Main thread only."""
        signal.signal(STOP_SIGNAL, self._on_stop_signal)
        self.queue.link.wake = self._alarm.fd
        self._baseline = Baseline()
        try:
            return self._loop()
        except LeaseLost:
            return Ending("lease_lost")
        except QueueRefused as error:
            emit("queue.refused", logging.ERROR, str(error), queue=self.queue.name)
            return Ending("refused")
        except QueueUnavailable:
            return Ending("drained")  # Redis stayed away until the supervisor wanted us gone
        finally:
            signal.signal(STOP_SIGNAL, signal.SIG_IGN)
            self.queue.link.wake = None
            self._alarm.close()

    def _loop(self) -> Ending:
        attempt: Attempt | None = None
        while True:
            if self.control.draining():
                if attempt is not None:
                    self._release(attempt)
                return self._leave("drained")
            if attempt is None:
                attempt = self._next()
                continue
            attempt = self._work(attempt)
            if attempt is not None and self._damage is not None:
                self._release(attempt)  # it was claimed before the damage was found
                attempt = None
            if attempt is None and self._spent():
                emit("worker.recycled", message=self._damage or "")
                return self._leave("recycled")

    def _next(self) -> Attempt | None:
        attempt = self._ahead.next() if self._ahead else None
        if attempt is None:
            self._idle()
            if not self._found_nothing:
                attempt = self.queue.claim(self.worker_id)
            attempt = attempt or self._wait()
        return attempt

    def _release(self, attempt: Attempt) -> None:
        log_settled(attempt, Released(), self.queue.release(self.worker_id, attempt), 0.0)

    def _idle(self) -> None:
        self.control.report(State.IDLE)
        if not self._titled_idle:
            setproctitle(f"taskq: worker {self.pool} idle")
            self._titled_idle = True

    def _wait(self) -> Attempt | None:
        self._found_nothing = False
        self._alarm.clear()  # before the look at what is wanted: a signal that comes after it ends the wait
        if self.control.draining():
            return None
        try:
            attempt = self.queue.wait(self.worker_id, BLOCK_S)
        except QueueFull:
            # Moving an entry is refused at maxmemory, claim's script is not: poll until there is room again.
            self._alarm.sleep(FULL_S)
            return None
        self._found_nothing = attempt is None  # the claim at the end of that wait
        return attempt

    def _work(self, attempt: Attempt) -> Attempt | None:
        """Run and settle one attempt; returns the next one when the settle claimed it."""
        options, self._limits = self._rules(attempt)
        started = time.monotonic()
        self._serial = self.control.begin(
            attempt.id,
            attempt.type,
            attempt.attempt,
            timeout_s=self._limits.timeout_s,
            memory_limit_bytes=self._limits.memory_limit_bytes,
        )
        setproctitle(f"taskq: worker {self.pool} running {attempt.type} {attempt.id}")
        self._titled_idle = False
        deadline = started + self._limits.timeout_s if self._limits.timeout_s else None
        context = Context(attempt, self.worker_id, deadline, self.control)
        outcome = self._run(attempt, context, options)
        self.control.settling()
        self._damage = self._baseline.calm() if self._baseline else None
        self._report(attempt)
        if failpoints.ARMED:
            failpoints.hit("P5", attempt.id)
        self.tasks_done += 1
        following = self._end(attempt, outcome, started)
        log.set_task()
        self.control.end()
        return following

    def _end(self, attempt: Attempt, outcome: Outcome, started: float) -> Attempt | None:
        """Settle an attempt that began at `started`; returns the next one when the settle claimed it and was waited for."""
        verdict, following = None, None
        if not isinstance(outcome, Completed):
            self._restore()
            verdict = self._settle(attempt, outcome)
        elif self._ahead is None or self._ahead.singly():
            answer = self.queue.completing(self.worker_id, attempt, outcome.result, claim_next=self._wants_more())
            self._restore()  # while Redis works
            verdict, following = answer()
        else:
            self._restore()
            done = Completion(attempt, outcome.result, time.monotonic() - started)
            self._ahead.complete(done, more=self._wants_more())
        if failpoints.ARMED:
            failpoints.hit("P6", attempt.id)
            failpoints.hit("P7", attempt.id)
        if verdict is not None:
            self._settled(attempt, outcome, verdict, time.monotonic() - started)
        return following

    def _restore(self) -> None:
        if self._baseline is not None:
            self._damage = self._baseline.restore() or self._damage

    def _heard(self, done: Completion, verdict: Verdict) -> None:
        """A completion that was not waited for has been answered."""
        attempt, result, duration_s = done
        log.set_task(**logged(attempt))
        self._settled(attempt, Completed(result), verdict, duration_s)
        log.set_task()

    def _settled(self, attempt: Attempt, outcome: Outcome, verdict: Verdict, duration_s: float) -> None:
        if verdict is Verdict.STALE:
            self.queue.reports.count_stale()
            self.queue.stop_done(self.worker_id, attempt.id, attempt.attempt)
        log_settled(attempt, outcome, verdict, duration_s, self.defaults.max_crashes)

    def _rules(self, attempt: Attempt) -> tuple[Options, Limits]:
        """The options of a type, and the limits of an attempt; most attempts of a type have the same."""
        key = attempt.type, attempt.timeout_s
        rules = self._known.get(key)
        if rules is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            options = self.registry.options(attempt.type)
            rules = self._known[key] = options, limits_of(attempt, options, self.defaults)
        return rules

    def _run(self, attempt: Attempt, context: Context, options: Options) -> Outcome:
        if not spans.are_made():
            return self._begin(attempt, context, options)
        with spans.running(attempt, self.worker_id) as span:
            outcome = self._begin(attempt, context, options, span.trace_id)
            span.ended(outcome)
        return outcome

    def _begin(self, attempt: Attempt, context: Context, options: Options, trace_id: str | None = None) -> Outcome:
        log.set_task(**logged(attempt, trace_id))
        emit("task.started", queue=attempt.queue)
        return self._perform(attempt, context, options)

    def _perform(self, attempt: Attempt, context: Context, options: Options) -> Outcome:
        if options.isolation is None:
            return execute(self.registry, attempt, self.defaults, context, self._set_running)
        perform = partial(execute, self.registry, attempt, self.defaults, context, self._set_running)
        try:
            return self._isolation.run(f"taskq: isolated {attempt.type} {attempt.id}", perform)
        except OSError as error:  # no room for another process now
            return outcome_of(error, attempt, Options(), options.backoff or self.defaults.backoff)

    def _report(self, attempt: Attempt) -> None:
        """Send what the attempt said and printed last: maintenance looks only now and then."""
        told = self.control.told()
        printed = self.capture.finish() if self.capture else ()
        if told is not None or printed:
            self._send(Holder(self.worker_id, attempt.id, attempt.attempt), told, printed)
        if self.capture:
            self.capture.empty()

    def _send(self, holder: Holder, told: tuple[int, Progress] | None, printed: Sequence[Block]) -> None:
        try:
            if told is not None:
                self.queue.reports.progress([(holder, told[1])])
            if self.capture and printed:
                self.queue.reports.output(holder, printed, self.capture.kept_bytes)
        except (QueueFull, QueueRefused):
            pass  # the settle that follows says what is wrong; this was only information

    def _settle(self, attempt: Attempt, outcome: Retried | Failed | Crashed | Released | Cancelled) -> Verdict:
        match outcome:
            case Retried(delay_s, error, detail):
                return self.queue.retry(self.worker_id, attempt, delay_s, error, detail)
            case Failed(error, detail):
                return self.queue.fail(self.worker_id, attempt, error, detail)
            case Crashed(error, detail):
                return crash(self.queue, self.worker_id, attempt, self.defaults.max_crashes, error, detail)
            case Released():
                return self.queue.release(self.worker_id, attempt)
            case Cancelled():
                # cancel or delete have written the end already; only the request has to be forgotten
                self.queue.stop_done(self.worker_id, attempt.id, attempt.attempt)
                return Verdict.OK

    def _wants_more(self) -> bool:
        return not self.control.draining() and not self._spent()

    def _spent(self) -> bool:
        """True when this process must not run another task."""
        if self._damage is not None:
            return True
        return 0 < self.recycling.max_tasks <= self.tasks_done or (
            0 < self.recycling.max_memory_bytes <= resident_bytes(os.getpid())
        )

    def _leave(self, reason: str) -> Ending:
        if self._ahead is not None:
            self._ahead.give_back()
        self.queue.link.close_blocking()
        if not self.queue.link.wait_was_cut:
            self.queue.leave(self.worker_id)
        # else the list of this worker stays known to the reapers for a while: a late BLMOVE may still fill it
        return Ending(reason)

    def _set_running(self, running: bool) -> None:
        self._interruptible = running

    def _on_stop_signal(self, _signum: int, _frame: FrameType | None) -> None:
        if self._isolation.pid:
            os.kill(self._isolation.pid, STOP_SIGNAL)  # the same handler there knows whether the order still stands
            return
        self._alarm.set()
        serial, reason = self.control.stop_order()
        if self._interruptible and serial == self._serial:
            self._interruptible = False  # one interruption; the handler may clean up undisturbed
            raise StopTask(reason.name, self._limits.timeout_s)
