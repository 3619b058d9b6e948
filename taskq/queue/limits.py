"""The limits of the types of one queue: putting them in force, and reading them with what they count.

All functions raise QueueUnavailable or QueueRefused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from taskq.limits import Limit, Limits
from taskq.queue.queue import Queue
from taskq.queue.scripts import load


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What the limits of a type leave at a moment. `running` hold a place, the last of them since `full_since_ms`. The rate
    allows no start before `next_ms` (None: one now), because of the starts up to `started_ms`.

    `ahead` parked tasks of the type start before the task that was asked for, `higher` of these with a higher priority; both
    are None when it is not parked.
    """

    limit: Limit
    running: int
    full_since_ms: int | None
    started_ms: int | None
    next_ms: int | None
    ahead: int | None
    higher: int | None


class Use(NamedTuple):
    """A limit that is in force for a type in a queue: how many tasks have a place, and how many it keeps waiting."""

    limit: Limit
    running: int
    parked: int


def put_in_force(queue: Queue, limits: Limits) -> bool:
    """Take over the limits of a configuration, unless that was done before: then whatever came since stays in force.

    A worker that names the generation in its info must have joined. Returns whether they were taken over.
    """
    script = load("limit")
    pairs = [text for type_, limit in limits.types.items() for text in (type_, limit.stored)]
    keys = [getattr(queue.keys, key) for key in script.keys]
    return bool(queue.link.script(script, keys, [limits.generation, *pairs]))


def uses_of(queue: Queue) -> dict[str, Use]:
    """The types of a queue that are limited, with what their limits count now."""
    keys = queue.keys
    stored: Any = queue.link.run(lambda client: client.hgetall(keys.limits))
    found = {type_.decode("utf-8", "replace"): Limit.read(text) for type_, text in stored.items()}
    limits = {type_: limit for type_, limit in found.items() if limit != Limit()}
    if not limits:
        return {}
    counts = _trip(
        queue,
        lambda pipe: [(pipe.zcard(keys.places(type_)), pipe.zcard(keys.parked(type_))) for type_ in limits],
    )
    return {type_: Use(limit, *counts[2 * at : 2 * at + 2]) for at, (type_, limit) in enumerate(limits.items())}


def bound_from_reply(reply: Sequence[Any]) -> Bound | None:
    """What standing.lua answers about the limits of a type; None for a type without any."""
    if not reply:
        return None
    stored, now_ms, running, last, newest, first, rank, higher = reply
    limit = Limit.read(stored)
    next_ms = int(first) + round(limit.rate.period_s * 1000) + 1 if first else None
    waits = limit.rate.count > 0 and next_ms is not None and next_ms > now_ms
    return Bound(
        limit=limit,
        running=running,
        full_since_ms=int(last) if last else None,
        started_ms=int(newest) if newest else None,
        next_ms=next_ms if waits else None,
        ahead=None if rank < 0 else rank,
        higher=None if rank < 0 else higher,
    )


def _trip(queue: Queue, commands: Callable[[Any], object]) -> list[Any]:
    def action(client: Any) -> list[Any]:
        pipe = client.pipeline(transaction=False)
        commands(pipe)
        return list(pipe.execute())

    return queue.link.run(action)
