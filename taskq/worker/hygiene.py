"""What a handler may leave behind in its process, and how the next task is kept from meeting it.

`Baseline` is taken when a worker starts. After every attempt `restore` puts back what can be put back (working directory,
umask, environment, signal handlers and mask, timers, standard streams, recursion limit, the seed of `random`), ends the
children that the task left, and names what cannot be undone: then the worker is replaced.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import os
import random
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from taskq import log
from taskq.children import has_children, kill_children

FD_SLACK = 16
"""Descriptors that a worker may gain over time (its own connections come and go) before it is replaced."""

_WATCHED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGALRM,
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class Baseline:
    """The state of a worker process between two tasks. Main thread only."""

    def __init__(self) -> None:
        self._directory = os.open(".", os.O_PATH | os.O_CLOEXEC)
        self._cwd = os.getcwd()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environ = dict(_environment())
        self._handlers = [(number, _handler(number)) for number in _WATCHED]
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._recursion_limit = sys.getrecursionlimit()
        self._threads = threading.active_count()
        self._listing = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # our own connections come and go, whatever else is open stays open
        self._kept = _Kept([fd for fd in _descriptors() if not _is_socket(fd)])
        self._count = self._open_count()
        self._standard = [_identity(fd) for fd in (1, 2)]
        self._reseed = random.SystemRandom().getrandbits

    def restore(self) -> str | None:
        """Undo what the last task changed. Returns why the worker must be replaced, or None."""
        try:
            self._restore_process()
            self._restore_signals()
            self._restore_interpreter()
            end_children()
            return self._damage()
        except OSError as error:  # no descriptor is left to look with, or the directory is gone
            return f"the task left a process that cannot be restored: {error}"

    def _restore_process(self) -> None:
        if _cwd() != self._cwd:
            os.fchdir(self._directory)
        os.umask(self._umask)
        if _environment() != self._environ:
            os.environb.clear()
            os.environb.update(self._environ)

    def _restore_signals(self) -> None:
        for number, handler in self._handlers:
            if _handler(number) is not handler:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            if signal.getitimer(timer) != (0.0, 0.0):
                signal.setitimer(timer, 0)
        if signal.pthread_sigmask(signal.SIG_BLOCK, ()) != self._mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _restore_interpreter(self) -> None:
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if sys.getrecursionlimit() != self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)
        if not gc.isenabled():
            gc.enable()
        if sys.gettrace() is not None or sys.getprofile() is not None:
            sys.settrace(None)
            sys.setprofile(None)
        random.seed(self._reseed(64))
        log.restore()

    def _damage(self) -> str | None:
        if threading.active_count() > self._threads:
            return "the task left threads running"
        if not self._kept.open():
            return "the task closed descriptors that are not its own"
        gained = self._open_count() - self._count
        if gained > FD_SLACK:
            return f"the task left {gained} descriptors open"
        if [_identity(fd) for fd in (1, 2)] != self._standard:
            return "the task replaced standard output or standard error"
        return None

    def _open_count(self) -> int:
        return _counted(self._listing) or len(_descriptors())


class _Kept:
    """Descriptors that must stay open; one system call looks at most of them."""

    def __init__(self, fds: Sequence[int]) -> None:
        self._poll = select.poll()
        for fd in fds:
            self._poll.register(fd, 0)
        # a descriptor that stands for a path only (O_PATH) looks like a closed one to poll
        self._others = self._closed()
        for fd in self._others:
            self._poll.unregister(fd)

    def open(self) -> bool:
        """True while all of them are."""
        return not self._closed() and all(_identity(fd) for fd in self._others)

    def _closed(self) -> list[int]:
        return [fd for fd, event in self._poll.poll(0) if event & select.POLLNVAL]


def end_children() -> None:
    """Kill and reap the children of this process, and the orphans of theirs, which come to us: we are their subreaper."""
    while has_children():
        kill_children()


def _environment() -> dict[bytes, bytes]:
    """The encoded variables behind os.environ: comparing those costs a fiftieth of comparing os.environ itself."""
    encoded: dict[bytes, bytes] = vars(os.environ)["_data"]
    return encoded


def _handler(number: int) -> Any:
    """What handles a signal. signal.getsignal() makes a member of an enumeration of it, which costs ten times as much."""
    return _signal.getsignal(number)


def _counted(listing: int) -> int:
    """How many descriptors are open, as the size of their directory: Linux 6.2 and later say so; 0 before that."""
    return os.fstat(listing).st_size


def _descriptors() -> set[int]:
    return set(map(int, os.listdir("/proc/self/fd")))


def _is_socket(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except FileNotFoundError:
        return True  # the descriptor of the listing itself


def _identity(fd: int) -> Any:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # the task removed the directory it was in
