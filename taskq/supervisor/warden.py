"""The warden: a child that does nothing until the supervisor dies, and then ends what would outlive it.

The kernel kills the supervisor's own children when it dies (PDEATHSIG), but not the programs that tasks have started.
Those are in the process groups of the workers, whose pids stand in the shared memory; and programs that have left their
group still bear the mark that the supervisor puts into the environment.
"""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path

from taskq.children import die_with_parent
from taskq.supervisor.slots import Board
from taskq.supervisor.strays import end_group

MARK = "TASKQ_SERVICE_MARK"
"""The environment variable that all programs of one service inherit."""

PARENT_DIED = signal.SIGUSR2


def mark() -> None:
    """Mark this process' environment, before the first child is started."""
    os.environ[MARK] = secrets.token_hex(16)


def watch(parent: int, board: Board) -> None:
    """Wait for the end of `parent`, however it comes, then kill every worker's process group and all that bear our mark."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {PARENT_DIED})
    die_with_parent(parent, PARENT_DIED)
    signal.sigwait({PARENT_DIED})
    for index in range(board.size):
        pid = board.slot(index).pid
        if pid:
            end_group(pid)
    end_marked(f"{MARK}={os.environ[MARK]}".encode())


def end_marked(assignment: bytes) -> None:
    """Kill the processes that were started with this assignment in their environment, except this one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if assignment in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is not ours
