"""What a submitter gets for a task that was taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from taskq.errors import TaskCancelled, TaskFailed, WaitTimeout
from taskq.queue.alike import moments
from taskq.queue.ending import end_of
from taskq.task import Status, Task
from taskq.units import parse_duration

if TYPE_CHECKING:
    from taskq.client.queue import Queue

R_co = TypeVar("R_co", covariant=True)

Decode = Callable[[bytes], Any]
"""How a result, as JSON text, becomes a value."""


class Source(NamedTuple):
    """What the receipts of tasks that are submitted alike have in common."""

    of: Queue
    type: str
    queue: str
    decode: Decode


class Receipt(Generic[R_co]):
    """Stands for one task that Redis has taken.

    Its methods raise TaskNotFound once the task is gone, and QueueUnavailable or QueueRefused.
    """

    __slots__ = ("_answer", "_source", "id")

    def __init__(self, task_id: str, source: Source, answer: bytes) -> None:
        self.id = task_id
        self._source = source
        self._answer = answer

    @property
    def type(self) -> str:
        """The type of the task."""
        return self._source.type

    @property
    def queue(self) -> str:
        """The queue that has the task."""
        return self._source.queue

    @property
    def created_at_ms(self) -> int:
        """When Redis took it, in ms on its clock."""
        return moments(self._answer).created_at_ms

    @property
    def run_at_ms(self) -> int | None:
        """When it is due, in ms on Redis' clock; None: at once."""
        return moments(self._answer).run_at_ms

    def wait(self, timeout: float | str | None = None) -> R_co:
        """The result, once there is one; blocks up to `timeout` (seconds or "5m"; None: as long as it takes).

        Raises TaskFailed, TaskCancelled or WaitTimeout when there is none.
        """
        result: R_co = wait_for_result(self._source.of, self.id, self.queue, timeout, self._source.decode)
        return result

    def task(self) -> Task:
        """The record as it is now."""
        return self._source.of.get(self.id, queue=self.queue)

    def cancel(self, reason: str = "") -> Status:
        """End the task if it has not ended; returns the status it had."""
        return self._source.of.cancel(self.id, reason, queue=self.queue)

    def __repr__(self) -> str:
        return f"Receipt(id={self.id!r}, type={self.type!r}, queue={self.queue!r})"


def wait_for_result(of: Queue, task_id: str, queue: str, timeout: float | str | None, decode: Decode) -> Any:
    """The result of a task of the queue; see `Receipt.wait`."""
    timeout_s = math.inf if timeout is None else parse_duration(timeout)
    task = end_of(of.store(queue), task_id, timeout_s)
    if task is None:
        raise WaitTimeout(task_id, timeout_s)
    if task.status is Status.FAILED:
        raise TaskFailed(task)
    if task.status is Status.CANCELLED:
        raise TaskCancelled(task)
    return decode(task.result or b"null")


def decoder_for(hint: Any) -> Decode:
    """How results are read: as the return hint of a handler says, and plainly where they do not fit it."""
    plain = msgspec.json.decode
    try:
        hinted = msgspec.json.Decoder(hint).decode
    except TypeError:
        return plain

    def decode(text: bytes) -> Any:
        try:
            return hinted(text)
        except msgspec.ValidationError:
            return plain(text)

    return decode
