"""How an attempt ended that a test has run."""

from __future__ import annotations

import logging
from typing import Generic, Literal, Self, TypeVar

import msgspec

from taskq.errors import AttemptNotCompleted
from taskq.task import ErrorDetail, Progress

R = TypeVar("R")

Ending = Literal["completed", "retry", "failed", "cancelled", "released"]


class Outcome(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """What a worker would have written about the attempt, and what was seen of it.

    `status` is `completed`, `failed`, or `retry`, where another attempt would follow after `delay_s` seconds; `cancelled` or
    `released` for a handler that raises StopTask itself. `result` is the returned value after its way through JSON, read by
    the return hint as `Receipt.wait` reads it, and `result_json` that text. `error` and `error_detail` (with `kind` and
    `traceback`) are those of the task. `progress` has each word of `ctx.progress`; `output` what was printed through
    sys.stdout and sys.stderr, and logged, as `GET /tasks/{id}/logs` shows it; `logs` the records that were logged.
    """

    status: Ending
    type: str
    attempt: int
    result: R | None = None
    result_json: bytes | None = None
    error: str | None = None
    error_detail: ErrorDetail | None = None
    delay_s: float | None = None
    progress: tuple[Progress, ...] = ()
    output: str = ""
    logs: tuple[logging.LogRecord, ...] = ()

    def raise_for_failure(self) -> Self:
        """The same outcome, if the attempt completed. Raises AttemptNotCompleted, with the traceback of the handler."""
        if self.status == "completed":
            return self
        told = f"attempt {self.attempt} of {self.type!r} ended as {self.status}"
        again = "" if self.delay_s is None else f", to be tried again after {self.delay_s:g} s"
        trace = self.error_detail.traceback if self.error_detail else None
        raise AttemptNotCompleted(f"{told}{again}: {self.error or 'stopped'}" + (f"\n{trace}" if trace else ""))
