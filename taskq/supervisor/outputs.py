"""The output files of all workers: one for each worker's life, opened before its fork, kept until its death is dealt with.

A handler that prints without end is never held up, so somebody must take the memory back as fast as it fills it. The kernel
says which files were written to (inotify); they are looked at soon after, at most every LOOK_EVERY_S. Where the kernel does
not say (a user may have only so many of its queues), all of them are looked at every LOOK_BLINDLY_EVERY_S.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Sequence

from taskq import output

LOOK_EVERY_S = 0.02
LOOK_BLINDLY_EVERY_S = 0.1
TAIL_BYTES = 2000

_IN_MODIFY = 0x02
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Outputs:
    """Belongs to the supervisor; a child keeps only the file of its own worker (`keep_only`)."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._watches: dict[int, int] = {}
        self._events = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._look_at = 0.0

    def create(self, worker_id: str) -> int:
        """The file of a worker that is about to be forked."""
        fd = self._files[worker_id] = output.create()
        if self._events >= 0:
            watch = _libc.inotify_add_watch(self._events, f"/proc/self/fd/{fd}".encode(), _IN_MODIFY)
            if watch >= 0:
                self._watches[watch] = fd
        return fd

    def fd(self, worker_id: str) -> int | None:
        """The file of a worker; None once it is closed."""
        return self._files.get(worker_id)

    def tail(self, worker_id: str) -> str | None:
        """The end of what a worker has printed, None when it is nothing: for a death that no task is to blame for."""
        fd = self._files.get(worker_id)
        if fd is None:
            return None
        _, data = output.run_of(output.blocks(fd, TAIL_BYTES))
        return data[-TAIL_BYTES:].decode("utf-8", "replace") or None

    def close(self, worker_id: str) -> None:
        """Nobody needs the output of this worker any more: free it, whoever may still hold the file."""
        fd = self._files.pop(worker_id, None)
        if fd is None:
            return
        for watch in [watch for watch, watched in self._watches.items() if watched == fd]:
            _libc.inotify_rm_watch(self._events, watch)
            del self._watches[watch]
        output.empty(fd)
        os.close(fd)

    def keep_only(self, worker_id: str | None = None) -> None:
        """In a fresh child: give up every file but that of this worker."""
        for other in [name for name in self._files if name != worker_id]:
            os.close(self._files.pop(other))
        if self._events >= 0:
            os.close(self._events)
            self._events = -1

    def wait(self, readable: Sequence[int], until: float, kept_bytes: int) -> None:
        """Sleep until one of `readable` is, or until a moment of the monotonic clock, looking after the files meanwhile."""
        while True:
            now = time.monotonic()
            due = now >= self._look_at
            if due and self._events < 0:
                self.look_at_all(kept_bytes)
            listening = due and self._events >= 0
            poll = select.poll()
            for fd in (*readable, *([self._events] if listening else [])):
                poll.register(fd, select.POLLIN)
            wake_at = until if listening else min(until, self._look_at)
            ready = {fd for fd, _ in poll.poll(max(0.0, wake_at - now) * 1000)}
            if ready == {self._events}:
                self._look(kept_bytes)
            elif ready or time.monotonic() >= until:
                return

    def look_at_all(self, kept_bytes: int) -> None:
        """Take memory back from every file that has grown large."""
        self._look_at = time.monotonic() + LOOK_BLINDLY_EVERY_S if self._events < 0 else self._look_at
        for fd in self._files.values():
            output.free(fd, kept_bytes)

    def _look(self, kept_bytes: int) -> None:
        self._look_at = time.monotonic() + LOOK_EVERY_S
        for fd in self._written():
            output.free(fd, kept_bytes)

    def _written(self) -> set[int]:
        try:
            events = os.read(self._events, 1 << 16)
        except BlockingIOError:
            return set()
        watches = {watch for watch, _, _, _ in _EVENT.iter_unpack(events)}  # no names: a file is watched, no directory
        return {self._watches[watch] for watch in watches if watch in self._watches}
