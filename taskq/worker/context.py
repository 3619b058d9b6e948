"""What a handler that asks for it is told about its attempt."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from taskq.log import TASK_LOGGER
from taskq.task import Attempt
from taskq.worker.control import Reporter


class Context:
    """Passed to handlers that annotate a parameter with it.

    `attempt` counts every start of the task from 1, so it can key side effects that must not happen twice; `deadline` is
    on time.monotonic(), None without a time limit; `log` puts task_id, attempt and worker_id on every line.
    `traceparent` and `tracestate` are the W3C trace context that the task was submitted with, None and "" without one.
    """

    __taskq_context__: ClassVar[bool] = True

    def __init__(self, attempt: Attempt, worker_id: str, deadline: float | None, reporter: Reporter | None = None) -> None:
        self.id = attempt.id
        self.type = attempt.type
        self.attempt = attempt.attempt
        self.retries = attempt.retries
        self.tags = attempt.tags
        self.deadline = deadline
        self.traceparent = attempt.trace.traceparent if attempt.trace else None
        self.tracestate = attempt.trace.tracestate if attempt.trace else ""
        self._reporter = reporter
        self._fields = attempt, worker_id

    @cached_property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines bear the task's fields."""
        attempt, worker_id = self._fields
        fields = {**logged(attempt), "worker_id": worker_id}
        return _TaskLog(logging.getLogger(TASK_LOGGER), fields)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far the attempt has come, in units of your own; whoever looks at the task sees it within a second.

        Costs less than a microsecond, so it may be called for every step; it never blocks, whatever Redis does. Of a long
        `message` the beginning is kept. From any thread, and from forked children. Raises TypeError for wrong types.
        """
        if self._reporter is not None:
            self._reporter.progress(done, total, message)

    @property
    def cancelled(self) -> bool:
        """True once the attempt shall stop: it was cancelled or deleted, ran into a limit, or a drain has run out.

        The same moment raises StopTask in the main thread; this is for loops in other threads and in children, and for
        handlers that have caught StopTask to clean up.
        """
        return self._reporter is not None and self._reporter.stopping()

    def remaining_s(self) -> float | None:
        """Seconds until the time limit (never below 0); None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


def logged(attempt: Attempt, trace_id: str | None = None) -> dict[str, Any]:
    """What every log line about an attempt says; `trace_id` is that of the span in which it runs, if it has one."""
    trace_id = trace_id or (attempt.trace.trace_id if attempt.trace else None)
    fields = {"task_id": attempt.id, "type": attempt.type, "attempt": attempt.attempt}
    return {**fields, "trace_id": trace_id} if trace_id else fields


class _TaskLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        extra: Mapping[str, Any] = self.extra or {}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **extra}
        return msg, kwargs
