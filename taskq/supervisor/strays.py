"""Processes that outlived the task that started them: they have become ours, because we are their subreaper."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from pathlib import Path

from taskq.log import emit


def end_strays(known: Collection[int]) -> int:
    """Kill every child of this process that is not in `known` and reap the dead; returns how many were killed."""
    killed = 0
    for pid in children():
        if pid not in known:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
            killed += 1
            emit("stray.killed", pid=pid)
    return killed


def children() -> list[int]:
    """The pids of the children of this process, also of dead ones that were not reaped."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # the thread has ended
    return found


def end_group(leader: int) -> None:
    """Kill what is left of a worker's process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left in it
