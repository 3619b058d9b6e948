"""The queue that handlers submit to when none is named: that of the configuration, unless somebody has put another there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskq.client.queue import Queue


class _Default:
    make: Callable[[], Queue] = Queue.from_config
    queue: Queue | None = None


def default() -> Queue:
    """The queue; made when it is first wanted. Raises ConfigError."""
    if _Default.queue is None:
        _Default.queue = _Default.make()
    return _Default.queue


def set_default(make: Callable[[], Queue] | None) -> None:
    """Let `make` make the queue when it is next wanted; None: let the configuration."""
    _Default.make = make or Queue.from_config
    _Default.queue = None


@contextmanager
def using(queue: Queue) -> Iterator[None]:
    """Let handlers submit to this queue, and afterwards to the one that it was before."""
    before = _Default.make, _Default.queue
    set_default(lambda: queue)
    try:
        yield
    finally:
        _Default.make, _Default.queue = before
