"""What a handler that asks for it is told about its attempt."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from taskq.task import Attempt


class Context:
    """Passed to handlers that annotate a parameter with it.

    `attempt` counts every start of the task from 1, so it can key side effects that must not happen twice; `deadline` is
    on time.monotonic(), None without a time limit; `log` puts task_id, attempt and worker_id on every line.
    """

    __taskq_context__: ClassVar[bool] = True

    def __init__(self, attempt: Attempt, worker_id: str, deadline: float | None) -> None:
        self.id = attempt.id
        self.type = attempt.type
        self.attempt = attempt.attempt
        self.retries = attempt.retries
        self.tags = attempt.tags
        self.deadline = deadline
        fields = {"task_id": attempt.id, "type": attempt.type, "attempt": attempt.attempt, "worker_id": worker_id}
        self.log: logging.LoggerAdapter[logging.Logger] = _TaskLog(logging.getLogger("taskq.task"), fields)

    def remaining_s(self) -> float | None:
        """Seconds until the time limit (never below 0); None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class _TaskLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        extra: Mapping[str, Any] = self.extra or {}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **extra}
        return msg, kwargs
