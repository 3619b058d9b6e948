"""Waiting for the end of a task, without asking again and again.

Whoever waits has the record say so (`watch`) and blocks on a list that has an entry once the task has ended. A task that
nobody waits for costs one field more in a read that its settle does anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from taskq.errors import QueueUnavailable, TaskNotFound
from taskq.queue.connection import Link
from taskq.queue.queue import Queue
from taskq.queue.record import task_from_hash
from taskq.queue.scripts import load
from taskq.task import Task

RECHECK_S = 15.0
"""The longest block. After it the record is read again: another one who waited may have died with the entry in hand, and
nothing tells a client that its server's machine has vanished."""

LOOK_S = 0.5
"""The longest block of those who may have enough of it before the time is over."""


def end_of(queue: Queue, task_id: str, timeout_s: float, *, enough: Callable[[], bool] | None = None) -> Task | None:
    """The task once it has ended; None when it has not after `timeout_s`, or when there is `enough` (asked every LOOK_S).

    Blocks at most that long, beyond what an outage of Redis takes. Raises TaskNotFound, also when the task is deleted while
    it is waited for, and QueueUnavailable or QueueRefused.
    """
    longest_s = RECHECK_S if enough is None else LOOK_S
    deadline = time.monotonic() + timeout_s
    woken = False
    while True:
        task = _watch(queue, task_id, woken=woken)
        left_s = deadline - time.monotonic()
        if task is not None or left_s <= 0 or (enough is not None and enough()):
            return task
        woken = _woken(queue.link, queue.keys.wake(task_id), min(left_s, longest_s))


def _watch(queue: Queue, task_id: str, *, woken: bool) -> Task | None:
    reply: Any = queue.link.script(load("watch"), [queue.keys.task_prefix], [task_id, "1" if woken else "0"])
    if reply == []:
        return None
    task = task_from_hash(queue.name, task_id, dict(zip(reply[::2], reply[1::2], strict=True))) if reply else None
    if task is None:
        raise TaskNotFound(task_id)
    return task


def _woken(link: Link, key: str, block_s: float) -> bool:
    try:
        return link.block_pop(key, block_s)
    except QueueUnavailable:
        return True  # an entry may have been taken whose reply was lost
