"""The settle for an attempt that had a process of its own and lost it, while its worker lives."""

from __future__ import annotations

from taskq.queue.queue import Queue
from taskq.queue.record import detail_json
from taskq.queue.scripts import load
from taskq.task import Attempt, ErrorDetail, Verdict


def crash(queue: Queue, worker_id: str, attempt: Attempt, max_crashes: int, error: str, detail: ErrorDetail) -> Verdict:
    """Count one crash, and give the task back or fail it at the limit, as `reap` does for a dead worker."""
    script, keys = load("crash"), queue.keys
    names = [keys.processing(worker_id) if name == "processing" else getattr(keys, name) for name in script.keys]
    args = [worker_id, attempt.id, attempt.attempt, max_crashes, error, detail_json(detail)]
    return Verdict(queue.link.script(script, names, args)[0].decode())
