"""What a worker needs from the supervisor's shared memory, as a protocol: the worker room does not know who made it."""

from __future__ import annotations

import enum
from typing import Protocol

from taskq.shelf import Shelf
from taskq.task import Progress
from taskq.tray import Tray


class StopReason(enum.IntEnum):
    """Why the supervisor interrupts a running attempt."""

    NONE = 0
    TIMEOUT = 1
    MEMORY = 2
    CANCELLED = 3
    DRAIN = 4
    LEASE = 5


class State(enum.IntEnum):
    """What a worker is doing, for the supervisor and for process titles."""

    STARTING = 0
    IDLE = 1
    RUNNING = 2
    SETTLING = 3
    ENDED = 4


class Reporter(Protocol):
    """The part of a slot that a running handler uses, from any of its threads or forked children."""

    def progress(self, done: float, total: float | None, message: str) -> None:
        """Say how far the attempt has come. Never blocks. Raises TypeError for what is no number or no text."""

    def stopping(self) -> bool:
        """True once the running attempt shall stop."""


class Control(Reporter, Protocol):
    """A worker's slot: it reports, and it reads what the supervisor wants. Without `shelf` and `tray` nothing is claimed
    ahead."""

    shelf: Shelf | None
    tray: Tray | None

    def report(self, state: State) -> None:
        """Say what this worker is doing now."""

    def begin(
        self, task_id: str, type_: str, attempt: int, *, timeout_s: float | None, memory_limit_bytes: int | None
    ) -> int:
        """Say that an attempt runs from now on, with its limits (None: none); returns its serial number in this worker."""

    def isolated(self, pid: int) -> None:
        """Say which child of this worker runs the attempt; 0: it has ended."""

    def told(self) -> tuple[int, Progress] | None:
        """What the running attempt said last about its progress, and a number that differs from word to word."""

    def settling(self) -> None:
        """Say that the attempt has ended and is being written; limits no longer apply."""

    def end(self) -> None:
        """Say that the attempt is settled."""

    def stop_order(self) -> tuple[int, StopReason]:
        """The serial number of the attempt to interrupt, and why."""

    def draining(self) -> bool:
        """True once no further task may be claimed."""

    def stop_now(self) -> bool:
        """True once even waiting for Redis must end."""
