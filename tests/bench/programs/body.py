"""What a task does, for taskq and every peer alike, and the file in which each run of it is noted.

Imported in the environment of each peer, so it needs nothing but Python. BENCH_RECORDS names the file.
"""

from __future__ import annotations

import os
import time

from layout import PID_SHIFT, RECORD

_fd = os.open(os.environ["BENCH_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def work(n: int, ms: int, pid: int | None = None) -> None:
    """Burn so many ms of processor time, then note it. `pid` stands for the worker, where that is another process."""
    start = time.monotonic_ns()
    if ms:
        until = time.thread_time_ns() + ms * 1_000_000
        while time.thread_time_ns() < until:
            pass
    os.write(_fd, RECORD.pack((pid or os.getpid()) << PID_SHIFT | n, start, time.monotonic_ns()))
