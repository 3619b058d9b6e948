"""Tasks that differ in nothing but their id and payload, stored as fast as one process can.

What they have in common is worked out and packed once. Of many, the next step is made while the server stores one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import hiredis

from taskq.ids import new_ids
from taskq.queue.answers import Enqueued
from taskq.queue.line import Command, opened
from taskq.queue.queue import Queue
from taskq.queue.record import alike_args
from taskq.queue.scripts import load
from taskq.task import NewTask

STEP = 1000
"""Tasks that are stored in one step, all or none."""


class Alike:
    """Submits tasks that are all like one. Safe in threads and after a fork.

    `like` has neither a unique key nor a time for which a repeat of it is known; its id and payload stand for none.
    """

    def __init__(self, queue: Queue, like: NewTask) -> None:
        script = load("enqueue_alike")
        keys = [getattr(queue.keys, key) for key in script.keys]
        words = ("EVALSHA", script.sha, len(keys), *keys, *alike_args(like))
        self.queue = queue
        self._script = script
        self._words = tuple(str(word) for word in words)
        self._opened = opened(words, more=2)

    def enqueue(self, task_id: str, payload: bytes | None) -> bytes:
        """Store one task; the answer, which `moments` reads. Raises QueueUnavailable, QueueFull or QueueRefused."""
        queue, text = self.queue, payload or b""
        queue.announce()
        words = b"$%d\r\n%b\r\n$%d\r\n" % (len(task_id), task_id.encode(), len(text))
        answer: bytes = queue.link.packed(self._script, b"".join((self._opened, words, text, b"\r\n")))
        return answer

    def enqueue_many(self, ids: Sequence[str], payloads: Sequence[bytes]) -> list[bytes]:
        """Store one task for each id and payload, in steps of STEP; the answer to each step, which `moments` reads.

        Blocks as long as it takes, an outage of Redis as long as each step's patience. If that ends with an exception, the
        first steps may have been stored. Raises QueueUnavailable, QueueFull or QueueRefused.
        """
        self.queue.announce()
        steps: list[Callable[[], Command]] = [
            partial(self.packed, ids[at : at + STEP], payloads[at : at + STEP]) for at in range(0, len(ids), STEP)
        ]
        return self.queue.link.stream(steps)

    def packed(self, ids: Sequence[str], payloads: Sequence[bytes]) -> Command:
        """The command that stores one task for each id and payload, b"" for none."""
        # texts all of them, see `line.packed`
        words: Any = (*self._words, *ids, *payloads)
        return Command(self._script, hiredis.pack_command(words))


def moments(answer: bytes) -> Enqueued:
    """When tasks were taken, and when they are due if that is later; by what Redis answered."""
    created, _, due = answer.partition(b" ")
    return Enqueued(int(created), int(due) if due else None)


def enqueue_alike(queue: Queue, like: NewTask, payloads: Sequence[bytes]) -> tuple[list[str], list[bytes]]:
    """Store one task for each payload, all of them like `like`; their ids, in order, and the answer to each STEP of them.

    See `Alike.enqueue_many`.
    """
    ids = new_ids(len(payloads))
    return ids, Alike(queue, like).enqueue_many(ids, payloads)
