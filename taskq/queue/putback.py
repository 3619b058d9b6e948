"""Claims that somebody took from a worker which holds more than it runs."""

from __future__ import annotations

from typing import NamedTuple

from taskq.log import emit
from taskq.queue.queue import Queue
from taskq.queue.scripts import load


class PutBack(NamedTuple):
    """A task that is pending again."""

    id: str
    attempt: int
    type: str


def put_back(queue: Queue, worker_id: str, task_id: str = "", attempt: int = 0) -> list[PutBack]:
    """Put back, and log, what a worker has started after the attempt that it runs, in its order; nothing is counted.

    The caller must have made sure that the worker begins none of it while it runs that attempt; once that has ended, this
    does nothing. Without an id the caller is the worker, which runs none. Safe to repeat. Raises QueueUnavailable or
    QueueRefused.
    """
    keys = queue.keys
    names = [keys.pending, keys.high, keys.low, keys.processing(worker_id), keys.task_prefix, keys.paused, keys.limits]
    reply = queue.link.script(load("put_back"), names, [worker_id, task_id, attempt])
    back = [
        PutBack(reply[at].decode(), int(reply[at + 1]), reply[at + 2].decode("utf-8", "replace"))
        for at in range(0, len(reply), 3)
    ]
    for task in back:
        emit(
            "task.released",
            task_id=task.id,
            type=task.type,
            queue=queue.name,
            attempt=task.attempt,
            worker_id=worker_id,
        )
    return back
