"""What a handler saw, appended to the file named by TASKQ_TEST_LOG."""

from __future__ import annotations

import os
import time

from taskq import Context


def note(ctx: Context, word: str) -> None:
    """One line: word, task id, attempt, wall-clock time, pid."""
    line = f"{word} {ctx.id} {ctx.attempt} {time.time():.3f} {os.getpid()}\n".encode()
    fd = os.open(os.environ["TASKQ_TEST_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line)
    os.close(fd)
