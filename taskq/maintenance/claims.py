"""Takes claims from busy workers: what they claimed ahead must not wait behind a long task, nor run once it is cancelled.

Whoever has taken the tickets of a worker while that ran one and the same task knows that it has begun none of the claims,
and may put them back: also those of which no ticket is there, which a connection that broke has left behind. If this process
is late, the worker misses the tickets and puts the claims back.

What such a worker has run before, and not told Redis yet, is stored in its place: nobody waits for a result behind a long
task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from taskq.maintenance.messages import Born
from taskq.queue.answers import Stop
from taskq.queue.inspect import Inspector
from taskq.queue.putback import put_back
from taskq.queue.unsent import store
from taskq.shelf import Ticket
from taskq.tray import Unsent

LONG_S = 0.05
"""A task that has run for so long is one behind which nothing waits."""

AGAIN_S = 1.0
"""After so long what a busy worker claimed is looked for once more: a claim may reach a slow server late."""


class Busy(NamedTuple):
    """An attempt that runs: its serial number in its worker, its id and number, and for how many seconds."""

    serial: int
    task_id: str
    attempt: int
    for_s: float


class Shelves(Protocol):
    """What the workers do, and the tickets for what they claimed."""

    def busy(self, seat: int) -> Busy | None:
        """The task that the worker in this seat runs; None between two attempts."""

    def tickets(self, seat: int) -> list[Ticket]:
        """Take the tickets of what this worker has claimed ahead, the oldest first."""

    def unsent(self, seat: int) -> list[Unsent]:
        """The results that it has not sent; to be believed only if it runs the same task before and after."""


class Claims:
    """Puts back what workers of this machine claimed ahead, and stores what they have not sent."""

    def __init__(self, inspector: Inspector, shelves: Shelves) -> None:
        self.inspector = inspector
        self.shelves = shelves
        self._freed: dict[str, tuple[int, bool]] = {}
        self._stored: dict[str, int] = {}

    def free(self, workers: Mapping[str, Born]) -> None:
        """Let other workers run what waits behind a long task, and others know what ended before it."""
        for worker_id, born in workers.items():
            busy = self.shelves.busy(born.seat)
            if busy is not None and busy.for_s > LONG_S:
                self._store(born, worker_id, busy)
                self._free(born, worker_id, busy)
        self._freed = {worker_id: seen for worker_id, seen in self._freed.items() if worker_id in workers}
        self._stored = {worker_id: serial for worker_id, serial in self._stored.items() if worker_id in workers}

    def stop(self, born: Born, stop: Stop) -> bool:
        """Let an attempt that was cancelled or deleted not begin, nor what was claimed beside it. False when it is the one
        that runs, or may begin yet."""
        busy = self.shelves.busy(born.seat)
        if busy is None or busy.task_id == stop.task_id or not self._free(born, stop.worker_id, busy):
            return False
        self.inspector.queue(born.queue).stop_done(stop.worker_id, stop.task_id, stop.attempt)
        return True

    def _store(self, born: Born, worker_id: str, busy: Busy) -> None:
        """Store the results that the worker has not sent, once for each task that it runs. It sends them again
        afterwards, and logs them."""
        if self._stored.get(worker_id) == busy.serial:
            return
        unsent = self.shelves.unsent(born.seat)
        after = self.shelves.busy(born.seat)
        if after is not None and after.serial == busy.serial:
            store(self.inspector.queue(born.queue), unsent)
            self._stored[worker_id] = busy.serial

    def _free(self, born: Born, worker_id: str, busy: Busy) -> bool:
        """True when the worker begins nothing any more of what it has claimed."""
        tickets = self.shelves.tickets(born.seat)
        after = self.shelves.busy(born.seat)
        if after is None or after.serial != busy.serial or any(ticket.worker_id != worker_id for ticket in tickets):
            return False
        seen = busy.serial, busy.for_s >= AGAIN_S
        if tickets or self._freed.get(worker_id) != seen:
            put_back(self.inspector.queue(born.queue), worker_id, busy.task_id, busy.attempt)
            self._freed[worker_id] = seen
        return True
