"""What the verbs of a queue answer. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from taskq.queue.tokens import new_token
from taskq.task import Status


class Enqueued(NamedTuple):
    """What Redis answered to an enqueue: when it was created and when it is due (None: at once), in ms.

    A task that was not stored has 0 as creation; `holder` is then the id of the task that holds its unique key, or None for
    one that was left out only because another one of the same call was refused.
    """

    created_at_ms: int
    run_at_ms: int | None
    holder: str | None = None

    @property
    def stored(self) -> bool:
        """False when there is no such task."""
        return self.created_at_ms > 0


def enqueued_from_reply(reply: Sequence[bytes]) -> list[Enqueued]:
    """What enqueue.lua answers."""
    return [
        Enqueued(int(created), int(due) if due else None) if created else Enqueued(0, None, due.decode() or None)
        for created, due in zip(reply[::2], reply[1::2], strict=True)
    ]


class Guard(NamedTuple):
    """What keeps a verb from a task: another status than `only`, or an end after `upto_ms`. `token` marks one call, so that
    its repetition is known and answered as the first time; None: each call is one of its own."""

    token: str | None = None
    only: Status | None = None
    upto_ms: int | None = None

    def args(self) -> tuple[str, str, str]:
        """The arguments of cancel, requeue and delete."""
        upto = "" if self.upto_ms is None else str(self.upto_ms)
        return self.token or new_token(), str(self.only or ""), upto


ANY = Guard()


class Reaped(NamedTuple):
    """A started task that a reap took from a worker; `status` is what it became: pending, or failed at the crash limit."""

    id: str
    attempt: int
    status: Status
    crashes: int
    type: str


class Stop(NamedTuple):
    """A request to stop one attempt that runs in `worker_id`."""

    worker_id: str
    task_id: str
    attempt: int
    reason: str
