"""What maintenance may see of the shared memory."""

from __future__ import annotations

import time

from taskq.maintenance.claims import Busy
from taskq.maintenance.reports import Held
from taskq.shelf import Ticket
from taskq.supervisor.slots import Board
from taskq.tray import Unsent
from taskq.worker.control import State


class BoardView:
    """Reads the slots. A worker counts as alive when the supervisor vouched for it at most `within_s` ago."""

    def __init__(self, board: Board, within_s: float) -> None:
        self.board = board
        self.within_s = within_s

    def alive(self, seat: int) -> bool:
        """True when the supervisor vouched for this worker just now and it has joined its queue."""
        slot = self.board.slot(seat)
        return slot.state is not State.STARTING and slot.vouched_within(self.within_s)

    def resident_bytes(self, seat: int) -> int:
        """The resident size of the worker in this seat, or of its child that runs the attempt if that is larger, as the
        supervisor saw it last; 0 when it has not looked yet."""
        return self.board.slot(seat).resident_bytes

    def busy_now(self, seat: int) -> bool:
        """True while the worker in this seat runs or settles an attempt."""
        return self.board.slot(seat).state in (State.RUNNING, State.SETTLING)

    def held(self, seat: int) -> Held | None:
        """What the worker in this seat runs; None between two attempts and while one is being settled."""
        slot = self.board.slot(seat)
        before = slot.running()
        told = slot.told()
        after = slot.running()
        if before is None or after is None or before.serial != after.serial or slot.state is not State.RUNNING:
            return None
        return Held(after.serial, after.task_id, after.attempt, told)

    def busy(self, seat: int) -> Busy | None:
        """The task that the worker in this seat runs, and since when; None between two attempts."""
        slot = self.board.slot(seat)
        running = slot.running()
        if running is None or slot.state is not State.RUNNING:
            return None
        return Busy(running.serial, running.task_id, running.attempt, (time.monotonic_ns() - running.started_ns) / 1e9)

    def tickets(self, seat: int) -> list[Ticket]:
        """Take the tickets of what this worker has claimed ahead, the oldest first."""
        shelf = self.board.slot(seat).shelf
        return shelf.clear() if shelf is not None else []

    def unsent(self, seat: int) -> list[Unsent]:
        """The results that this worker has not sent; to be believed only if it runs the same task before and after."""
        tray = self.board.slot(seat).tray
        return tray.read() if tray is not None else []
