"""What maintenance may see of the shared memory."""

from __future__ import annotations

from taskq.maintenance.reports import Held
from taskq.supervisor.slots import Board
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

    def held(self, seat: int) -> Held | None:
        """What the worker in this seat runs; None between two attempts and while one is being settled."""
        slot = self.board.slot(seat)
        before = slot.running()
        told = slot.told()
        after = slot.running()
        if before is None or after is None or before.serial != after.serial or slot.state is not State.RUNNING:
            return None
        return Held(after.serial, after.task_id, after.attempt, told)
