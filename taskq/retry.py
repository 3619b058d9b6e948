"""When a failed attempt is tried again. Pure functions of values."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec


class Backoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wait before retry n (from 0) is `first * factor**n` seconds, at most `max`; `jitter` adds up to that
    fraction of the wait at random (0.1: up to 10 % more), so that tasks that failed together do not return together."""

    first: float = 1.0
    factor: float = 2.0
    max: float = 600.0
    jitter: float = 0.0


def delay_s(backoff: Backoff, retries: int, rand: Callable[[], float] = random.random) -> float:
    """Seconds to wait before the next attempt of a task that has used `retries` retries so far."""
    try:
        wait = min(backoff.first * backoff.factor**retries, backoff.max)
    except OverflowError:
        wait = backoff.max
    return wait * (1 + backoff.jitter * rand())
