"""The nouns: a task as it is stored, as it is submitted, as a worker holds it, and how an attempt ends.

Pure values. What they look like in Redis is the business of `queue/record.py`, what they look like over HTTP of
`api/views.py`. Moments are milliseconds since the epoch on Redis' clock; durations are seconds.
"""

from __future__ import annotations

import enum
import re
from typing import Any

import msgspec

from taskq.tracecontext import TraceContext

NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}\Z")
"""What a queue, type, tag or key may be called."""

MAX_RETRY_LIMIT = 1000


class Status(enum.StrEnum):
    """Where a task stands. The last three are final."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True once nothing but requeue and delete can change the task."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Priority(enum.StrEnum):
    """Strict: no normal task starts while a high one waits in the same queue."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class ErrorKind(enum.StrEnum):
    """What ended an attempt that did not complete."""

    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASH = "crash"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INVALID_PAYLOAD = "invalid_payload"
    UNKNOWN_TYPE = "unknown_type"
    RESULT = "result"


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The cause of a failed attempt as data. `peak_rss_bytes` is the largest resident size seen of the worker."""

    kind: ErrorKind
    type: str | None = None
    message: str = ""
    traceback: str | None = None
    signal: str | None = None
    exit_code: int | None = None
    peak_rss_bytes: int | None = None


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an attempt has come, in units of its handler. `total` None: not known."""

    done: float
    total: float | None = None
    message: str = ""


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task to enqueue. `payload` is JSON text or None for none; `delay_s` counts from the moment Redis takes it,
    `run_at_ms` is absolute, and at most one of them is set. `id` is made by the caller before the first try, so that a
    repeated enqueue is harmless; for `repeat_s` after it, it is so even if the task is gone by then. `timeout_s` None means
    the default of the type, then of the service. A task that has not started `expires_in_s` after it was taken never does.
    Of the tasks with one `unique_key`, a queue holds at most one that has not ended. `trace` is what caused it, if known."""

    id: str
    type: str
    payload: bytes | None = None
    queue: str = "default"
    priority: Priority = Priority.NORMAL
    max_retry: int = 3
    delay_s: float = 0
    run_at_ms: int | None = None
    timeout_s: float | None = None
    expires_in_s: float | None = None
    unique_key: str | None = None
    tags: tuple[str, ...] = ()
    repeat_s: float = 0
    trace: TraceContext | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it is stored. `payload` and `result` are JSON text; None means absent.

    `retries` counts what the user's budget paid for, `crashes` deaths under the task, `attempt` every start.
    """

    id: str
    type: str
    queue: str
    status: Status
    priority: Priority = Priority.NORMAL
    payload: bytes | None = None
    retries: int = 0
    max_retry: int = 3
    attempt: int = 0
    crashes: int = 0
    created_at_ms: int = 0
    updated_at_ms: int = 0
    run_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    expires_at_ms: int | None = None
    timeout_s: float | None = None
    unique_key: str | None = None
    tags: tuple[str, ...] = ()
    worker_id: str | None = None
    result: bytes | None = None
    error: str | None = None
    error_detail: dict[str, Any] | None = None
    progress: Progress | None = None
    trace: TraceContext | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker holds after `start`: enough to run the task and to settle it. `attempt` is the fencing token."""

    id: str
    type: str
    queue: str
    attempt: int
    payload: bytes | None = None
    retries: int = 0
    max_retry: int = 3
    crashes: int = 0
    timeout_s: float | None = None
    tags: tuple[str, ...] = ()
    trace: TraceContext | None = None


class Completed(msgspec.Struct, frozen=True, tag=True):
    """The handler returned; `result` is JSON text."""

    result: bytes


class Retried(msgspec.Struct, frozen=True, tag=True):
    """The attempt failed and another one follows after `delay_s`."""

    delay_s: float
    error: str
    detail: ErrorDetail


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The attempt failed and none follows."""

    error: str
    detail: ErrorDetail


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """The attempt was stopped because somebody cancelled or deleted the task."""

    reason: str


class Released(msgspec.Struct, frozen=True, tag=True):
    """The attempt was cut short by a drain: the task goes back to the head of its queue and nothing is counted."""


class Crashed(msgspec.Struct, frozen=True, tag=True):
    """The process in which the attempt was isolated died under it. Counts as the death of a worker does."""

    error: str
    detail: ErrorDetail


Outcome = Completed | Retried | Failed | Cancelled | Released | Crashed
"""Every way an attempt can end while its worker lives."""


class Verdict(enum.StrEnum):
    """What a settle did. STALE changed nothing: another attempt owns the task, or it is gone."""

    OK = "ok"
    STALE = "stale"
