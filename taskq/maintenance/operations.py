"""The duty of operations: carry out actions on many tasks, one step at a time, so that no other duty waits for long."""

from __future__ import annotations

import uuid

from msgspec.structs import replace

from taskq.log import emit
from taskq.queue import actions
from taskq.queue.operations import Operation, Operations, Rest


class Operator:
    """Carries out the operations that no other maintenance process has in hand."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations
        self.holder = uuid.uuid4().hex
        self._known = ""

    def operate(self) -> bool:
        """Do one step of the oldest operation; returns whether there is more to do at once."""
        operation = self.operations.take(self.holder)
        if operation is None:
            return False
        if operation.id != self._known:
            emit("operation.taken", operation_id=operation.id, action=operation.action.kind, done=operation.done)
            self._known = operation.id
        after = operation if operation.stopping else actions.step(self.operations.inspector, operation)
        if operation.stopping and after.rest is None:
            after = replace(after, rest=Rest())  # it has not begun, and yet not done everything
        state = self.operations.advance(self.holder, after)
        if state in ("completed", "stopped"):
            self._tell(after, state)
        return state != ""

    def _tell(self, operation: Operation, state: str) -> None:
        emit(
            "operation.ended",
            operation_id=operation.id,
            action=operation.action.kind,
            state=state,
            matched=operation.matched,
            done=operation.done,
            skipped=operation.skipped,
            failed=operation.failed,
        )
