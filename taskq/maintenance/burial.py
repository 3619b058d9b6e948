"""What becomes of the task of a worker that died: the words for it, and the verbs that settle it.

A limit that the supervisor enforced by killing is the task's failure (retry or fail); a drain gives the task back
uncounted; anything else is a crash, which has a budget of its own.
"""

from __future__ import annotations

import logging

from taskq.deaths import crash, with_peak
from taskq.log import emit
from taskq.maintenance.messages import Died
from taskq.queue.inspect import Inspector
from taskq.queue.queue import NEXT, OLDEST, Queue
from taskq.queue.unsent import store
from taskq.registry import Registry
from taskq.retry import Backoff, delay_s
from taskq.task import Attempt, ErrorDetail, ErrorKind, Status, Task, Verdict

_SETTLED = ("timeout", "memory", "drain")
"""The causes for which the task that the worker ran is settled in its place."""

_BLAMELESS = (*_SETTLED, "cancelled")
"""The causes for which no task counts a crash: the supervisor knows what it killed the worker for."""


class Undertaker:
    """Settles what dead workers held."""

    def __init__(self, inspector: Inspector, registry: Registry, *, backoff: Backoff, max_crashes: int) -> None:
        self.inspector = inspector
        self.registry = registry
        self.backoff = backoff
        self.max_crashes = max_crashes

    def bury(self, died: Died) -> None:
        """Store what a dead worker had not sent, settle the task that it ran, if any, and give back what else it held.
        Safe to repeat."""
        queue = self.inspector.queue(died.queue)
        self._store_unsent(queue, died)
        if died.task_id is not None and died.cause in _SETTLED:
            self._settle(queue, died, died.task_id)
        blame = "" if died.task_id is not None and died.cause in _BLAMELESS else died.task_id or NEXT
        self.reap(queue, died.worker_id, dead=True, died=died, blame=blame)
        queue.stop_done(died.worker_id)

    def reap(self, queue: Queue, worker_id: str, *, dead: bool, died: Died | None = None, blame: str = OLDEST) -> None:
        """Give back everything in the list of a worker whose process is `dead` or whose lease has lapsed.

        The task that it ran is to `blame` for that: an id, NEXT if it ran none, OLDEST if nobody saw it, '' if that was
        settled apart.
        """
        text, detail = describe(died) if died else _unseen(dead=dead)
        reaped = queue.reap(worker_id, dead=dead, max_crashes=self.max_crashes, error=text, detail=detail, blame=blame)
        for task in reaped:
            failed = task.status is Status.FAILED
            emit(
                "task.failed" if failed else "task.reaped",
                logging.ERROR if failed else logging.WARNING,
                task_id=task.id,
                type=task.type,
                queue=queue.name,
                attempt=task.attempt,
                worker_id=worker_id,
                crashes=task.crashes,
                error=text,
                error_kind=detail.kind,
            )

    def _store_unsent(self, queue: Queue, died: Died) -> None:
        for done, verdict in zip(died.unsent, store(queue, died.unsent), strict=True):
            if verdict is Verdict.STALE:
                queue.reports.count_stale()
            emit(
                "task.completed" if verdict is Verdict.OK else "task.stale",
                logging.INFO if verdict is Verdict.OK else logging.WARNING,
                task_id=done.task_id,
                type=done.type,
                queue=queue.name,
                attempt=done.attempt,
                worker_id=done.worker_id,
                duration_s=round(done.duration_s, 6),
            )

    def _settle(self, queue: Queue, died: Died, task_id: str) -> None:
        task = self.inspector.get(task_id)
        if task is None or task.attempt != died.attempt:
            return
        attempt = _attempt_of(task)
        if died.cause == "drain":
            self._log("task.released", queue.release(died.worker_id, attempt), died, task)
            return
        text, detail = describe(died)
        if task.retries < task.max_retry:
            backoff = self.registry.options(task.type).backoff or self.backoff
            verdict = queue.retry(died.worker_id, attempt, delay_s(backoff, task.retries), text, detail)
            self._log("task.retried", verdict, died, task, detail)
        else:
            self._log("task.failed", queue.fail(died.worker_id, attempt, text, detail), died, task, detail)

    def _log(self, event: str, verdict: Verdict, died: Died, task: Task, detail: ErrorDetail | None = None) -> None:
        if verdict is Verdict.STALE:
            self.inspector.queue(task.queue).reports.count_stale()
        emit(
            event if verdict is Verdict.OK else "task.stale",
            logging.WARNING if detail else logging.INFO,
            task_id=task.id,
            type=task.type,
            queue=task.queue,
            attempt=task.attempt,
            worker_id=died.worker_id,
            error=detail.message if detail else None,
            error_kind=detail.kind if detail else None,
        )


def describe(died: Died) -> tuple[str, ErrorDetail]:
    """Why a worker ended, as a sentence and as data."""
    if died.cause == "timeout":
        kind = ErrorKind.TIMEOUT
        text = f"timed out after {died.limit_s:g} s and was killed" if died.limit_s else "timed out and was killed"
    elif died.cause == "memory":
        kind, text = ErrorKind.MEMORY, "memory limit exceeded"
    elif died.cause == "lease":
        kind, text = ErrorKind.CRASH, "the worker fell silent: its lease lapsed, and it was killed"
    else:
        return crash("the worker", died.signal, died.exit_code, died.peak_rss_bytes)
    text = with_peak(text, died.peak_rss_bytes)
    detail = ErrorDetail(
        kind=kind,
        message=text,
        signal=died.signal,
        exit_code=died.exit_code,
        peak_rss_bytes=died.peak_rss_bytes,
    )
    return text, detail


def _unseen(*, dead: bool) -> tuple[str, ErrorDetail]:
    """The words for a worker whose end its supervisor did not live to report."""
    text = "the worker and its supervisor died under the task" if dead else "the worker fell silent: its lease lapsed"
    return text, ErrorDetail(kind=ErrorKind.CRASH, message=text)


def _attempt_of(task: Task) -> Attempt:
    return Attempt(
        id=task.id,
        type=task.type,
        queue=task.queue,
        attempt=task.attempt,
        retries=task.retries,
        max_retry=task.max_retry,
        crashes=task.crashes,
    )
