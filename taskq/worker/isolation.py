"""An attempt in a process of its own: a forked child of the worker, for handlers that leak memory or crash.

The child runs the handler as the worker would, and writes the outcome into memory that both share, so that no descriptor is
needed which a handler could close. What it leaves behind is gone with it; when it dies, the worker lives and tells how.
"""

from __future__ import annotations

import mmap
import os
import traceback
from collections.abc import Callable

import msgspec
from setproctitle import setproctitle

from taskq import failpoints, spans
from taskq.children import die_with_parent, leave_ending_to_parent
from taskq.deaths import cause_of, crash
from taskq.task import Crashed, Outcome
from taskq.worker.control import Control

ERROR_BYTES = 1 << 18
"""Room beside the result for the words of an error and its traceback."""

FAULT = 70
"""The exit code of a child that could not tell its outcome."""

_LENGTH_BYTES = 8
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)


class Isolation:
    """Runs one child at a time. `pid` is that of the child, 0 without one; `flush` empties the buffers of the streams."""

    def __init__(self, control: Control, result_max_bytes: int, flush: Callable[[], None]) -> None:
        self.control = control
        self.flush = flush
        self.pid = 0
        self._room_bytes = _LENGTH_BYTES + result_max_bytes + ERROR_BYTES

    def run(self, title: str, perform: Callable[[], Outcome]) -> Outcome:
        """The outcome of `perform` in a child, or how the child died. Main thread only. Blocks until the child has ended."""
        parent = os.getpid()
        with mmap.mmap(-1, self._room_bytes) as memory:
            pid = os.fork()
            if pid == 0:
                self._be_the_child(parent, title, perform, memory)
            self.pid = pid
            self.control.isolated(pid)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            self.pid = 0  # before the pid can be given to another process
            _, status, usage = os.wait4(pid, 0)
            self.control.isolated(0)
            length = int.from_bytes(memory[:_LENGTH_BYTES], "little")
            if length:
                return _decoder.decode(memory[_LENGTH_BYTES : _LENGTH_BYTES + length])
        signal_name, exit_code = cause_of(os.waitstatus_to_exitcode(status))
        return Crashed(*crash("the isolated process", signal_name, exit_code, usage.ru_maxrss * 1024))

    def _be_the_child(self, parent: int, title: str, perform: Callable[[], Outcome], memory: mmap.mmap) -> None:
        """Never returns: nothing of the worker must run twice."""
        code = FAULT
        try:
            die_with_parent(parent)
            leave_ending_to_parent()
            failpoints.reseed()
            setproctitle(title)
            text = _encoder.encode(perform())
            memory[_LENGTH_BYTES : _LENGTH_BYTES + len(text)] = text
            memory[:_LENGTH_BYTES] = len(text).to_bytes(_LENGTH_BYTES, "little")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                self.flush()
                spans.flush()
            finally:
                os._exit(code)
