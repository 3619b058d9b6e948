"""The children of this process, as the kernel knows them, also those that it never started itself (orphans come to a
subreaper)."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from pathlib import Path


def children() -> list[int]:
    """The pids of the children of this process, also of dead ones that were not reaped."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # the thread has ended
    return found


def has_children() -> bool:
    """True if there is any; one system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_children(spare: Collection[int] = ()) -> list[int]:
    """Kill and reap every child that is not in `spare`; returns their pids. Orphans that this makes may come to us next."""
    killed = []
    for pid in children():
        if pid in spare:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
        killed.append(pid)
    return killed
