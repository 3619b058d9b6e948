"""Standard output and standard error of a worker process: a file in memory (`taskq/output.py`) instead of the service's.

What tasks print, and the programs and C libraries that they use, ends there. The service's own log keeps a private way to
the original standard output, and stack dumps on request one to the original standard error.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import os
import resource
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from taskq import output
from taskq.output import Block

LEAST_FD = 1000
SPARE_FDS = 16
_LINE_BUFFERED = 1  # _IOLBF
_libc = ctypes.CDLL(None)


class Capture:
    """Made in the worker, with the descriptor that the supervisor opened for it, which it takes over. `log_fd` and
    `error_fd` are where standard output and error led before.

    All three stay open as long as the worker lives, under high numbers: what a handler opens after it has closed descriptors
    that it does not know does not take their place, and a worker that lacks one, or has so many, is replaced (`hygiene.py`).
    """

    def __init__(self, fd: int, kept_bytes: int) -> None:
        self.fd = _high(fd)
        os.close(fd)
        self.kept_bytes = kept_bytes
        self.log_fd = _original(1)
        self.error_fd = _original(2)
        self._file = os.fstat(self.fd)
        self._used = False
        self._c_stdout = ctypes.c_void_p.in_dll(_libc, "stdout")
        # modules of tasks may have put their own in front when they were imported
        streams = {id(s): s for s in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if s is not None}
        self._streams = list(streams.values())

    def install(self, stacks: int) -> None:
        """Point standard output and error to the file, line by line so that others can read along. `stacks` is the signal
        that dumps stacks."""
        self.flush()
        os.dup2(self.fd, 1)
        os.dup2(self.fd, 2)
        for stream in self._streams:
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        _libc.setvbuf(self._c_stdout, None, _LINE_BUFFERED, 0)
        faulthandler.register(stacks, file=self.error_fd, all_threads=True)

    def finish(self) -> Sequence[Block]:
        """The newest output of the attempt that has ended; afterwards nothing waits in buffers of ours or of C any more."""
        self.flush()
        try:
            # the end of the file is its size; a file of the handler's in place of ours is neither read nor emptied
            self._used = os.lseek(self.fd, 0, os.SEEK_END) > 0 and os.path.samestat(os.fstat(self.fd), self._file)
        except OSError:
            self._used = False
        return output.blocks(self.fd, self.kept_bytes) if self._used else ()

    def empty(self) -> None:
        """Make room for the next attempt."""
        if self._used:
            output.empty(self.fd)

    def release(self) -> None:
        """Lead standard error back to where it was: what this process says now is no output of a task."""
        os.dup2(self.error_fd, 2)

    def flush(self) -> None:
        """Write out what Python and C hold back."""
        for stream in self._streams:
            try:
                stream.flush()
            except Exception:  # noqa: S112 - the handler has closed it, or it is not ours and may raise anything
                continue
        _libc.fflush(self._c_stdout)


def _original(fd: int) -> int:
    try:
        return _high(fd)
    except OSError:  # the service was started without it
        return os.open(os.devnull, os.O_WRONLY)


def _high(fd: int) -> int:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, min(LEAST_FD, most - SPARE_FDS))
