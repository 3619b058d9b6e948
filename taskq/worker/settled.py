"""The log line of an attempt that was settled."""

from __future__ import annotations

import logging

from taskq.log import emit, is_shown
from taskq.task import Attempt, Cancelled, Completed, Crashed, Failed, Outcome, Released, Retried, Verdict

_EVENTS = {
    Completed: ("task.completed", logging.INFO),
    Retried: ("task.retried", logging.WARNING),
    Failed: ("task.failed", logging.ERROR),
    Crashed: ("task.crashed", logging.WARNING),
    Released: ("task.released", logging.INFO),
    Cancelled: ("task.cancelled", logging.INFO),
}


def log_settled(
    attempt: Attempt, outcome: Outcome, verdict: Verdict, duration_s: float, max_crashes: int | None = None
) -> None:
    """Say how an attempt ended, and what was made of it. `max_crashes` is the crash limit that held."""
    event, level = _EVENTS[type(outcome)]
    if verdict is Verdict.OK and isinstance(outcome, Completed) and not is_shown(level):
        return  # the most frequent of all ends
    crashes = attempt.crashes + 1 if isinstance(outcome, Crashed) else None
    if crashes is not None and max_crashes is not None and crashes >= max_crashes:
        event, level = _EVENTS[Failed]
    if verdict is Verdict.STALE:
        event, level = "task.stale", logging.WARNING
    if not is_shown(level):
        return
    failure = outcome if isinstance(outcome, (Retried, Failed, Crashed)) else None
    emit(
        event,
        level,
        task_id=attempt.id,
        type=attempt.type,
        queue=attempt.queue,
        attempt=attempt.attempt,
        duration_s=round(duration_s, 6),
        crashes=crashes,
        error=failure.error if failure else None,
        error_kind=failure.detail.kind if failure else None,
        delay_s=outcome.delay_s if isinstance(outcome, Retried) else None,
    )
