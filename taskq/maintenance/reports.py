"""What the running attempts of this machine say, carried from shared memory to Redis, so that no handler waits for Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

import msgspec

from taskq.errors import QueueFull, QueueRefused
from taskq.maintenance.messages import Born, Died
from taskq.queue.inspect import Inspector
from taskq.queue.reports import Report
from taskq.task import Progress


class Held(msgspec.Struct, frozen=True):
    """The attempt that a worker runs now: its serial number there, and what it said last with the number of that word."""

    serial: int
    task_id: str
    attempt: int
    told: tuple[int, Progress] | None


class Seats(Protocol):
    """What the supervisor and its workers say in shared memory."""

    def alive(self, seat: int) -> bool:
        """True when the supervisor vouched for this worker just now and it has joined its queue."""

    def held(self, seat: int) -> Held | None:
        """What the worker in this seat runs; None between two attempts and while one is being settled."""


class Reporter:
    """Remembers what was sent, so that only news are."""

    def __init__(self, inspector: Inspector, seats: Seats) -> None:
        self.inspector = inspector
        self.seats = seats
        self._sent: dict[str, tuple[int, int]] = {}

    def progress(self, workers: Mapping[str, Born]) -> None:
        """Send what the attempts of these workers have said since the last call."""
        news: defaultdict[str, dict[Report, tuple[int, int]]] = defaultdict(dict)
        for worker_id, born in workers.items():
            held = self.seats.held(born.seat)
            if held is None or held.told is None:
                continue
            number, progress = held.told
            if self._sent.get(worker_id) != (held.serial, number):
                news[born.queue][Report(worker_id, held.task_id, held.attempt, progress)] = (held.serial, number)
        for name, reports in news.items():
            self._send(name, list(reports))
            self._sent.update((report.worker_id, sent) for report, sent in reports.items())

    def last_words(self, died: Died) -> None:
        """Send what the attempt of a worker that has died said last. To be called while it still holds its task."""
        self._sent.pop(died.worker_id, None)
        if died.task_id is not None and died.progress is not None:
            try:
                self._send(died.queue, [Report(died.worker_id, died.task_id, died.attempt, died.progress)])
            except QueueRefused:
                pass  # what settles the task must not wait for what only informs

    def _send(self, queue: str, reports: list[Report]) -> None:
        try:
            self.inspector.queue(queue).reports.progress(reports)
        except QueueFull:
            pass  # a full Redis needs its room for what ends tasks
