"""The limits of the types of one queue: putting them in force, and reading them with what they count.

All functions raise QueueUnavailable or QueueRefused.
"""

from __future__ import annotations

from taskq.limits import Limits
from taskq.queue.queue import Queue
from taskq.queue.scripts import load


def put_in_force(queue: Queue, limits: Limits) -> bool:
    """Take over the limits of a configuration, unless that was done before: then whatever came since stays in force.

    A worker that names the generation in its info must have joined. Returns whether they were taken over.
    """
    script = load("limit")
    pairs = [text for type_, limit in limits.types.items() for text in (type_, limit.stored)]
    keys = [getattr(queue.keys, key) for key in script.keys]
    return bool(queue.link.script(script, keys, [limits.generation, *pairs]))
