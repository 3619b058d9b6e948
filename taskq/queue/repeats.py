"""Idempotency keys: the first request with a key chooses the id of its task, and every repeat is told that id.

A key is known across all queues, so it cannot live where its task does; a repeat therefore enqueues again under the first
id, which stores nothing twice (see `NewTask.repeat_s`), also when the first request died between the two steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from taskq.queue.connection import Link
from taskq.queue.keys import idempotency_key

KEPT_S = 86_400.0
"""How long a key is known, from its first use."""


class Claim(NamedTuple):
    """Who has a key: the id and queue of the first request that used it. `same` is False when that was another request."""

    task_id: str
    queue: str
    same: bool


def claim(link: Link, prefix: str, key: str, wanted: Claim, fingerprint: str) -> Claim:
    """Take `key` for the id and queue of `wanted`, unless it has been taken; returns who has it now.

    `fingerprint` tells requests apart and has no spaces. Safe to repeat. Raises QueueUnavailable, QueueFull or QueueRefused.
    """
    value = f"{fingerprint} {wanted.task_id} {wanted.queue}"
    name = idempotency_key(prefix, key)
    found: Any = link.run(lambda client: client.set(name, value, nx=True, get=True, px=round(KEPT_S * 1000)))
    if found is None:
        return wanted
    first, task_id, queue = found.decode().split(" ")
    return Claim(task_id, queue, first == fingerprint)
