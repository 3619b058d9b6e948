"""Results of attempts that a worker has not sent itself."""

from __future__ import annotations

from collections.abc import Sequence

from taskq.queue.queue import Queue
from taskq.task import Attempt, Verdict
from taskq.tray import Unsent


def store(queue: Queue, unsent: Sequence[Unsent]) -> list[Verdict]:
    """Complete these attempts in the place of their workers; what became of each. Safe to repeat, also by the workers.
    Raises QueueUnavailable or QueueRefused."""
    verdicts = []
    for done in unsent:
        attempt = Attempt(id=done.task_id, type=done.type, queue=queue.name, attempt=done.attempt)
        verdicts.append(queue.complete(done.worker_id, attempt, done.result)[0])
    return verdicts
