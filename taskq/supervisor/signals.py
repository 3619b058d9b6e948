"""Signals of the supervisor: the handler only queues the number and wakes the loop, which acts.

Children never decide by signal when to end: a terminal or a service manager may signal the whole group, and the order to
end comes from the supervisor.
"""

from __future__ import annotations

import collections
import faulthandler
import os
import signal
import sys
from types import FrameType

HANDLED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGCHLD,
)
STACKS = signal.SIGUSR1
"""Makes any process of the service write the stacks of its threads to standard error."""


class SignalQueue:
    """The signals that arrived and were not yet acted on. `fd` becomes readable when one arrives."""

    def __init__(self) -> None:
        self._arrived: collections.deque[int] = collections.deque()
        self.fd, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install(self) -> None:
        """Take over the handled signals, and have the stacks written when a fault or a watchdog ends us."""
        faulthandler.enable()
        for number in HANDLED:
            signal.signal(number, self._on_signal)

    def take(self) -> list[signal.Signals]:
        """Everything that arrived since the last call, in order."""
        try:
            while os.read(self.fd, 512):
                pass
        except BlockingIOError:
            pass
        taken = []
        while self._arrived:
            taken.append(signal.Signals(self._arrived.popleft()))
        return taken

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.append(number)
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already


def reset_in_child() -> None:
    """In a fresh child: forget the parent's handlers, leave ending to the parent, dump stacks on request."""
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(STACKS, file=sys.stderr, all_threads=True)


def dump_between_instructions() -> None:
    """Dump stacks on request only when no other thread runs: for processes whose threads are always busy. To look at the
    stack of a thread that runs ends the process now and then. The main thread must be one that waits."""
    faulthandler.unregister(STACKS)
    signal.signal(STACKS, lambda *_: dump_stacks())


def dump_stacks() -> None:
    """Write the stacks of all threads to standard error."""
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
