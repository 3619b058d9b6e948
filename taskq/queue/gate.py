"""Whether a queue lets tasks start, and what becomes of those that wait: pause, resume, purge.

Every function is safe to repeat with the same arguments and raises QueueUnavailable or QueueRefused.
"""

from __future__ import annotations

from typing import Any

from taskq.queue.queue import BATCH, Queue
from taskq.queue.scripts import load
from taskq.queue.tokens import new_token


def pause(queue: Queue, reason: str = "") -> int:
    """Let no task of the queue start any more: when this returns, none will. The queue goes on taking tasks, and what runs
    goes on. Returns since when it is paused, in ms on Redis' clock; a queue that is paused already takes the new reason."""
    queue.announce()
    while True:
        since, done = _run(queue, "pause", reason)
        if done:
            return int(since)


def resume(queue: Queue) -> bool:
    """Let tasks start again, in the order in which they would have. False if the queue was not paused."""
    while True:
        was_paused, done = _run(queue, "resume", new_token())
        if done:
            return bool(was_paused)


def purge(queue: Queue) -> int:
    """Remove every task that is pending or scheduled, in batches; returns how many. What runs stays.

    Ends although others go on to enqueue: then at the latest when twice as many as waited at first have been removed.
    """
    removed, left = _run(queue, "purge", BATCH, new_token())
    most = 2 * (removed + left)
    while left and removed < most:
        more, left = _run(queue, "purge", BATCH, new_token())
        removed += more
    return int(removed)


def _run(queue: Queue, name: str, *args: Any) -> Any:
    """Run a script whose keys are all among those of the queue."""
    script = load(name)
    return queue.link.script(script, [getattr(queue.keys, key) for key in script.keys], args)
