"""Runs one handler once and reduces every way it can end to one `Outcome`. Knows neither Redis nor processes."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from taskq import failpoints
from taskq.errors import Fail, InvalidPayload, Retry, StopTask, UnknownTaskType
from taskq.registry import Handler, Registry
from taskq.retry import Backoff, delay_s
from taskq.task import Attempt, Cancelled, Completed, ErrorDetail, ErrorKind, Failed, Outcome, Released, Retried
from taskq.typeoptions import Options
from taskq.units import MAX_DURATION_S, parse_duration
from taskq.worker.context import Context
from taskq.worker.control import StopReason
from taskq.worker.forks import EndOfForks
from taskq.worker.result import ResultError, encode_result

ERROR_MAX = 2_000
TRACEBACK_MAX = 16_000


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for types that say nothing. `timeout_s` 0: no limit; `memory_limit_bytes` 0: no limit."""

    timeout_s: float = 3600
    memory_limit_bytes: int = 0
    backoff: Backoff = Backoff()
    result_max_bytes: int = 1 << 20
    max_crashes: int = 3


class Limits(msgspec.Struct, frozen=True):
    """The limits of one attempt; None: none."""

    timeout_s: float | None
    memory_limit_bytes: int | None


def limits_of(attempt: Attempt, own: Options, defaults: Defaults) -> Limits:
    """The task's own limit, else its type's, else the default."""
    timeout_s = next(t for t in (attempt.timeout_s, own.timeout_s, defaults.timeout_s) if t is not None)
    memory = own.memory_limit_bytes if own.memory_limit_bytes is not None else defaults.memory_limit_bytes
    return Limits(timeout_s or None, memory or None)


def execute(
    registry: Registry, attempt: Attempt, defaults: Defaults, context: Context, running: Callable[[bool], None]
) -> Outcome:
    """Run the handler of `attempt`. `running(True)` and `running(False)` frame the time in which it may be interrupted."""
    try:
        handler = registry.get(attempt.type)
    except UnknownTaskType as error:
        return Failed(str(error), ErrorDetail(kind=ErrorKind.UNKNOWN_TYPE, message=str(error)))
    try:
        try:
            running(True)
            value = _call(handler, attempt, context)
        finally:
            running(False)
        return Completed(encode_result(value, defaults.result_max_bytes))
    except ResultError as error:
        return Failed(str(error), ErrorDetail(kind=ErrorKind.RESULT, message=str(error)))
    except BaseException as error:
        return outcome_of(error, attempt, handler.options, defaults.backoff)


def outcome_of(error: BaseException, attempt: Attempt, options: Options, default_backoff: Backoff) -> Outcome:
    """What an exception that left a handler means for its task."""
    if isinstance(error, StopTask):
        return _stopped(error, attempt, options, default_backoff)
    detail = describe(error)
    text = detail.message or detail.type or ""
    if isinstance(error, (Fail, InvalidPayload)) or not _retryable(error, options):
        return Failed(text, detail)
    wait_s = _chosen_wait_s(error.delay) if isinstance(error, Retry) else None
    return failed_attempt(text, detail, attempt, options.backoff or default_backoff, wait_s)


def failed_attempt(
    text: str, detail: ErrorDetail, attempt: Attempt, backoff: Backoff, wait_s: float | None = None
) -> Retried | Failed:
    """Retry after `wait_s` (None: the backoff) while the task has retries left, else fail."""
    if attempt.retries >= attempt.max_retry:
        return Failed(text, detail)
    return Retried(delay_s(backoff, attempt.retries) if wait_s is None else wait_s, text, detail)


def describe(error: BaseException) -> ErrorDetail:
    """An exception as data. Bounded, and safe against exceptions whose own text raises."""
    return ErrorDetail(
        kind=ErrorKind.INVALID_PAYLOAD if isinstance(error, InvalidPayload) else ErrorKind.EXCEPTION,
        type=type(error).__qualname__,
        message=_bounded(_safe(lambda: str(error)), ERROR_MAX),
        traceback=_bounded(_safe(lambda: _traceback(error)), TRACEBACK_MAX),
    )


def timeout_text(attempt: Attempt, limit_s: float | None) -> str:
    """The sentence for an attempt that ran too long."""
    return f"timed out after {limit_s:g} s (attempt {attempt.attempt})" if limit_s else "timed out"


def _call(handler: Handler, attempt: Attempt, context: Context) -> Any:
    args, kwargs = handler.signature.bind(attempt.payload, context)
    if failpoints.ARMED:
        failpoints.hit("P4", attempt.id)
    with EndOfForks():
        return handler.function(*args, **kwargs)


def _stopped(error: StopTask, attempt: Attempt, options: Options, default_backoff: Backoff) -> Outcome:
    if error.reason == StopReason.DRAIN.name:
        return Released()
    if error.reason == StopReason.CANCELLED.name:
        return Cancelled("cancelled while it ran")
    kind = ErrorKind.MEMORY if error.reason == StopReason.MEMORY.name else ErrorKind.TIMEOUT
    text = "memory limit exceeded" if kind is ErrorKind.MEMORY else timeout_text(attempt, error.limit_s)
    detail = ErrorDetail(
        kind=kind, type="StopTask", message=text, traceback=_bounded(_safe(lambda: _traceback(error)), TRACEBACK_MAX)
    )
    return failed_attempt(text, detail, attempt, options.backoff or default_backoff)


def _chosen_wait_s(delay: object) -> float | None:
    """The wait that a handler chose, in seconds; None (the backoff) for one that is no duration at all."""
    try:
        return parse_duration(max(0.0, delay) if isinstance(delay, (int, float)) else delay)
    except ValueError:
        return MAX_DURATION_S if delay == math.inf or (isinstance(delay, float) and delay > MAX_DURATION_S) else None


def _retryable(error: BaseException, options: Options) -> bool:
    if isinstance(error, Retry):
        return True
    if options.no_retry_on and isinstance(error, options.no_retry_on):
        return False
    return not options.retry_on or isinstance(error, options.retry_on)


def _traceback(error: BaseException) -> str:
    """The frames of the handler, without ours that called it."""
    own = error.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename == __file__:
        own = own.tb_next
    return "".join(traceback.format_exception(type(error), error, own, limit=-40))


def _safe(text: Callable[[], str]) -> str:
    try:
        return text().encode("utf-8", "backslashreplace").decode()
    except BaseException as error:  # whatever a text raises, it is only a text
        return f"<text unavailable: {type(error).__name__}>"


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
