"""Many tasks that differ in nothing but their payload, stored as fast as one process can.

The arguments of one task are worked out once and copied for the others, and while the server stores one batch the next
is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from msgspec.structs import replace

from taskq.ids import new_ids
from taskq.queue.answers import Enqueued, enqueued_from_reply
from taskq.queue.queue import Queue
from taskq.queue.record import enqueue_args
from taskq.queue.scripts import load
from taskq.task import NewTask

STEP = 1000
"""Tasks that are stored in one step, all or none."""

_ID, _PAYLOAD = "the id", b"the payload"


def enqueue_alike(queue: Queue, like: NewTask, payloads: Sequence[bytes]) -> list[tuple[str, Enqueued]]:
    """Store one task for each payload, all of them like `like`; their ids and what Redis answered, in order.

    Blocks as long as it takes, an outage of Redis as long as each step's patience. If that ends with an exception, the
    first steps may have been stored. Raises QueueUnavailable, QueueFull or QueueRefused.
    """
    queue.announce()
    script = load("enqueue")
    ids = new_ids(len(payloads))
    row = [arg if isinstance(arg, bytes) else str(arg) for arg in enqueue_args(replace(like, id=_ID, payload=_PAYLOAD))]
    make = partial(_rows, row, (row.index(_ID), row.index(_PAYLOAD)))
    steps: list[Callable[[], Sequence[Any]]] = [
        partial(make, ids[at : at + STEP], payloads[at : at + STEP]) for at in range(0, len(ids), STEP)
    ]
    replies = queue.link.scripts(script, [getattr(queue.keys, key) for key in script.keys], steps)
    moments = [reply for step in replies for reply in zip(step[::2], step[1::2], strict=True)]
    return [
        (task_id, Enqueued(int(created), int(due) if due else None))
        for task_id, (created, due) in zip(ids, moments, strict=True)
    ]


def enqueue_steps(queue: Queue, steps: Sequence[Callable[[], Sequence[NewTask]]], answers: list[list[Enqueued]]) -> None:
    """Store the tasks that each step makes, each task by itself; while the server stores one step the next is made.

    `answers` gets what Redis answered to each step, in order, also when this ends with an exception. A step may be made
    more than once, and must then make the same. Blocks and raises as `enqueue_alike` does.
    """
    queue.announce()
    script = load("enqueue")
    replies: list[Any] = []
    runs: list[Callable[[], Sequence[Any]]] = [partial(_each, step) for step in steps]
    try:
        queue.link.scripts(script, [getattr(queue.keys, key) for key in script.keys], runs, replies)
    finally:
        answers += [enqueued_from_reply(reply) for reply in replies]


def _each(step: Callable[[], Sequence[NewTask]]) -> Sequence[Any]:
    return ["0", *chain.from_iterable(enqueue_args(new) for new in step())]


def _rows(
    row: Sequence[str | bytes], places: tuple[int, int], ids: Sequence[str], payloads: Sequence[bytes]
) -> Sequence[str | bytes]:
    at_id, at_payload = places
    width = len(row)
    rows = list(row) * len(ids)
    rows[at_id::width] = ids
    rows[at_payload::width] = payloads
    return ["0", *rows]  # each on its own: none has a unique key that could be taken
