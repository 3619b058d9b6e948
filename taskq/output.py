"""The file that is standard output and standard error of a worker: in memory, unnamed, only ever appended to.

A write to it never waits for anybody: who reads it reads behind the writer's back, and who bounds it frees pages in the
middle of the file (`free`), which moves no offset. So a position in the output of an attempt means the same to the worker,
to maintenance that reads along, and to Redis. The worker empties the file between two attempts.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Sequence

BLOCK_BYTES = 4096
"""Output travels in blocks that begin at multiples of this: only the last one of an attempt is ever sent again."""

MARGIN_BYTES = 1 << 22
"""How much a writer may add while somebody reads the newest bytes, without their pages being freed meanwhile."""

_PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_libc = ctypes.CDLL(None, use_errno=True)

Block = tuple[int, bytes]
"""Offset and content. A later block of the same offset is the same or longer."""


def create() -> int:
    """A new file; the caller owns the descriptor. It is opened by name, because the kernel tells of no change (inotify) to
    the descriptor that comes with the file."""
    first = os.memfd_create("taskq-output", os.MFD_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{first}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    finally:
        os.close(first)


def size(fd: int) -> int:
    """How many bytes were written since the file was last emptied."""
    return os.fstat(fd).st_size


def empty(fd: int) -> None:
    """Forget everything; offsets begin anew, also if a handler has switched appending off."""
    os.ftruncate(fd, 0)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)


def free(fd: int, kept_bytes: int) -> bool:
    """Give back memory, but not that of the newest `kept_bytes`. True when there was enough to give back."""
    found = os.fstat(fd)
    if found.st_blocks * 512 <= kept_bytes + 2 * MARGIN_BYTES:
        return False
    end = (found.st_size - kept_bytes - MARGIN_BYTES) // BLOCK_BYTES * BLOCK_BYTES
    return end > 0 and _libc.fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(end)) == 0


def blocks(fd: int, kept_bytes: int, since: int = 0) -> Sequence[Block]:
    """The newest `kept_bytes` in blocks (the first may have more of them), without those that were whole when the file had
    `since` bytes. Nothing while a writer is so fast that what is read is no longer kept."""
    for _ in range(5 if kept_bytes else 0):
        end = size(fd)
        start = max(0, end - kept_bytes, min(since, end)) // BLOCK_BYTES * BLOCK_BYTES
        data = os.pread(fd, end - start, start)
        if size(fd) - kept_bytes - MARGIN_BYTES <= start:
            return [(start + at, data[at : at + BLOCK_BYTES]) for at in range(0, len(data), BLOCK_BYTES)]
    return []


def run_of(found: Sequence[Block]) -> Block:
    """The unbroken output that ends with the last of these blocks, in any order, and where it begins."""
    start, data = 0, b""
    for offset, block in sorted(found):
        known = start + len(data) - offset
        if not data or known < 0:
            start, data = offset, block
        else:
            data += block[known:]
    return start, data
