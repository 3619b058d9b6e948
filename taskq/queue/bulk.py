"""Many tasks of any kind, stored in steps: while the server stores one the next is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from taskq.queue.alike import Alike, moments
from taskq.queue.answers import Enqueued, enqueued_from_reply
from taskq.queue.line import Command, evalsha
from taskq.queue.queue import Queue
from taskq.queue.record import enqueue_args
from taskq.queue.scripts import load
from taskq.task import NewTask


def enqueue_steps(
    queue: Queue, steps: Sequence[Callable[[], Sequence[NewTask]]], answers: list[list[Enqueued]], *, alike: bool = False
) -> None:
    """Store the tasks that each step makes, each task by itself; while the server stores one step the next is made.

    `alike`: they differ in nothing but their id and payload, and have neither a unique key nor a time for which a repeat is
    known. `answers` gets what Redis answered to each step, in order, also when this ends with an exception. A step may be
    made more than once, and must then make the same. Blocks as long as it takes, an outage of Redis as long as each step's
    patience. Raises QueueUnavailable, QueueFull or QueueRefused.
    """
    queue.announce()
    replies: list[Any] = []
    make = _packed_alike if alike else _packed
    commands: list[Callable[[], Command]] = [partial(make, queue, step) for step in steps]
    try:
        queue.link.stream(commands, replies)
    finally:
        for step, reply in zip(steps, replies, strict=False):
            answers.append(enqueued_from_reply(reply) if isinstance(reply, list) else [moments(reply)] * len(step()))


def _packed(queue: Queue, step: Callable[[], Sequence[NewTask]]) -> Command:
    script = load("enqueue")
    keys = [getattr(queue.keys, key) for key in script.keys]
    return Command(script, evalsha(script, keys, ["0", *chain.from_iterable(enqueue_args(new) for new in step())]))


def _packed_alike(queue: Queue, step: Callable[[], Sequence[NewTask]]) -> Command:
    news = step()
    if len({new.max_retry for new in news}) != 1:
        return _packed(queue, step)  # none is left of them, or a worker with other defaults has joined while they were made
    return Alike(queue, news[0]).packed([new.id for new in news], [new.payload or b"" for new in news])
