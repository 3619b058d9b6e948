"""Standard output and standard error of a worker process: a file in memory (`taskq/output.py`) instead of the service's.

What tasks print, and the programs and C libraries that they use, ends there. The service's own log keeps a private way to
the original standard output, and stack dumps on request one to the original standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from taskq import output
from taskq.output import Block

_LINE_BUFFERED = 1  # _IOLBF
_libc = ctypes.CDLL(None)


class Capture:
    """Made in the worker, with the descriptor that the supervisor opened for it. `log_fd` and `error_fd` are where standard
    output and error led before; all three stay open as long as the worker lives."""

    def __init__(self, fd: int, kept_bytes: int) -> None:
        self.fd = fd
        self.kept_bytes = kept_bytes
        self.log_fd = _original(1)
        self.error_fd = _original(2)
        self._used = False
        self._c_stdout = ctypes.c_void_p.in_dll(_libc, "stdout")
        # modules of tasks may have put their own in front when they were imported
        streams = {id(s): s for s in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if s is not None}
        self._streams = list(streams.values())

    @property
    def fds(self) -> Sequence[int]:
        """The descriptors that must stay what they are."""
        return (self.fd, self.log_fd, self.error_fd)

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
            self._used = output.size(self.fd) > 0
            return output.blocks(self.fd, self.kept_bytes) if self._used else ()
        except OSError:  # the handler has closed our descriptors; the worker is about to be replaced for that
            self._used = False
            return ()

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
            with contextlib.suppress(Exception):  # the handler has closed it, or it is not ours and may raise anything
                stream.flush()
        _libc.fflush(self._c_stdout)


def _original(fd: int) -> int:
    try:
        return os.dup(fd)
    except OSError:  # the service was started without it
        return os.open(os.devnull, os.O_WRONLY)
