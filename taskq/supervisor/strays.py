"""Processes that outlived the task that started them: they have become ours, because we are their subreaper."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection

from taskq.children import kill_children
from taskq.log import emit


def end_strays(known: Collection[int]) -> int:
    """Kill every child of this process that is not in `known`; returns how many there were."""
    killed = kill_children(known)
    for pid in killed:
        emit("stray.killed", pid=pid)
    return len(killed)


def end_group(leader: int) -> None:
    """Kill what is left of a worker's process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left in it
