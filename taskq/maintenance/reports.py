"""What the running attempts of this machine say, carried from shared memory to Redis, so that no handler waits for Redis."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

import msgspec

from taskq import output
from taskq.errors import QueueFull, QueueRefused
from taskq.maintenance.messages import Born, Died
from taskq.queue.inspect import Inspector
from taskq.queue.reports import Holder
from taskq.task import Progress


class Held(msgspec.Struct, frozen=True):
    """The attempt that a worker runs now: its serial number there, and what it said last with the number of that word."""

    serial: int
    task_id: str
    attempt: int
    told: tuple[int, Progress] | None

    def by(self, worker_id: str) -> Holder:
        """The attempt as the one that this worker runs."""
        return Holder(worker_id, self.task_id, self.attempt)


class Seats(Protocol):
    """What the supervisor and its workers say in shared memory."""

    def alive(self, seat: int) -> bool:
        """True when the supervisor vouched for this worker just now and it has joined its queue."""

    def resident_bytes(self, seat: int) -> int:
        """The resident size of the worker in this seat, or of its child that runs the attempt if that is larger, as the
        supervisor saw it last; 0 when it has not looked yet."""

    def busy_now(self, seat: int) -> bool:
        """True while the worker in this seat runs or settles an attempt."""

    def held(self, seat: int) -> Held | None:
        """What the worker in this seat runs; None between two attempts and while one is being settled."""


class Reporter:
    """Remembers what was sent, so that only news are. Owns the descriptors that `watch` takes."""

    def __init__(self, inspector: Inspector, seats: Seats, output_kept_bytes: int) -> None:
        self.inspector = inspector
        self.seats = seats
        self.output_kept_bytes = output_kept_bytes
        self._files: dict[str, int] = {}
        self._told: dict[str, tuple[int, int]] = {}
        self._printed: dict[str, tuple[int, int]] = {}

    def watch(self, worker_id: str, fd: int) -> None:
        """Read what a worker prints from this file, until its last words."""
        if worker_id in self._files:
            os.close(fd)
        else:
            self._files[worker_id] = fd

    def progress(self, workers: Mapping[str, Born]) -> None:
        """Send what the attempts of these workers have said since the last call."""
        news: defaultdict[str, dict[Holder, tuple[Progress, tuple[int, int]]]] = defaultdict(dict)
        for worker_id, born in workers.items():
            held = self.seats.held(born.seat) if self.seats.busy_now(born.seat) else None
            if held is None or held.told is None:
                continue
            number, progress = held.told
            if self._told.get(worker_id) != (held.serial, number):
                news[born.queue][held.by(worker_id)] = (progress, (held.serial, number))
        for name, said in news.items():
            with _room_for_others():
                self.inspector.queue(name).reports.progress([(holder, progress) for holder, (progress, _) in said.items()])
            self._told.update((holder.worker_id, mark) for holder, (_, mark) in said.items())

    def output(self, workers: Mapping[str, Born]) -> None:
        """Send what the attempts of these workers have printed since the last call."""
        for worker_id, born in workers.items():
            fd = self._files.get(worker_id) if self.seats.busy_now(born.seat) else None
            if fd is not None and output.size(fd) > 0:
                self._send_output(worker_id, born, fd)

    def last_words(self, died: Died) -> None:
        """Send what the attempt of a worker that died said and printed last. To be called while it still holds its task."""
        fd = self._files.get(died.worker_id)
        if died.task_id is not None:
            holder = Holder(died.worker_id, died.task_id, died.attempt)
            reports = self.inspector.queue(died.queue).reports
            with _room_for_others(), contextlib.suppress(QueueRefused):
                if died.progress is not None:
                    reports.progress([(holder, died.progress)])
                if fd is not None and (blocks := output.blocks(fd, self.output_kept_bytes)):
                    reports.output(holder, blocks, self.output_kept_bytes)
        if fd is not None:
            os.close(self._files.pop(died.worker_id))
        self._told.pop(died.worker_id, None)
        self._printed.pop(died.worker_id, None)

    def _send_output(self, worker_id: str, born: Born, fd: int) -> None:
        held = self.seats.held(born.seat)
        if held is None:
            return  # the worker sends the rest itself
        serial, sent = self._printed.get(worker_id, (0, 0))
        since = sent if serial == held.serial else 0
        if output.size(fd) == since:
            return
        blocks = output.blocks(fd, self.output_kept_bytes, since)
        still = self.seats.held(born.seat)
        if not blocks or still is None or still.serial != held.serial:
            return  # what was read may be the output of two attempts
        with _room_for_others():
            self.inspector.queue(born.queue).reports.output(held.by(worker_id), blocks, self.output_kept_bytes)
        offset, last = blocks[-1]
        self._printed[worker_id] = (held.serial, offset + len(last))


def _room_for_others() -> contextlib.AbstractContextManager[None]:
    """A full Redis needs its room for what ends tasks: what only informs is let go."""
    return contextlib.suppress(QueueFull)
