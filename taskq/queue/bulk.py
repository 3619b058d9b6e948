"""Many tasks of any kind, stored in steps: while the server stores one the next is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from taskq.queue.answers import Enqueued, enqueued_from_reply
from taskq.queue.line import evalsha
from taskq.queue.queue import Queue
from taskq.queue.record import enqueue_args
from taskq.queue.scripts import load
from taskq.task import NewTask


def enqueue_steps(queue: Queue, steps: Sequence[Callable[[], Sequence[NewTask]]], answers: list[list[Enqueued]]) -> None:
    """Store the tasks that each step makes, each task by itself; while the server stores one step the next is made.

    `answers` gets what Redis answered to each step, in order, also when this ends with an exception. A step may be made
    more than once, and must then make the same. Blocks as long as it takes, an outage of Redis as long as each step's
    patience. Raises QueueUnavailable, QueueFull or QueueRefused.
    """
    queue.announce()
    script = load("enqueue")
    keys = [getattr(queue.keys, key) for key in script.keys]
    replies: list[Any] = []
    commands: list[Callable[[], bytes]] = [partial(_packed, keys, step) for step in steps]
    try:
        queue.link.stream(script, commands, replies)
    finally:
        answers += [enqueued_from_reply(reply) for reply in replies]


def _packed(keys: Sequence[str], step: Callable[[], Sequence[NewTask]]) -> bytes:
    return evalsha(load("enqueue"), keys, ["0", *chain.from_iterable(enqueue_args(new) for new in step())])
