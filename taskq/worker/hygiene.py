"""What a handler may leave behind in its process, and how the next task is kept from meeting it.

`Baseline` is taken when a worker starts. After every attempt, what can be put back is put back, and what cannot be undone is
named: then the worker is replaced. It is done in two parts:

`calm`, before anybody is told how the attempt ended: what could still act (children, signal handlers and mask, timers,
traces, threads), and what might keep us from telling it (logging, recursion limit).

`restore`, before the next attempt, while Redis stores the end of this one: what lies still (working directory, umask,
environment, standard streams, garbage collection, the seed of `random`, descriptors). A task that was claimed meanwhile goes
back if something cannot be undone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import ctypes
import fcntl
import gc
import os
import random
import select
import signal
import sys
import threading
from collections.abc import Collection, Sequence
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
_NUMBERS = tuple(map(int, _WATCHED))
_BLOCK = int(signal.SIG_BLOCK)
_TIMERS = tuple(map(int, (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)))
_UNSET = (0.0, 0.0)
_getitimer = signal.getitimer

_MARK = int(signal.SIGRTMAX)
"""What the open files of standard output and error bear from the start of a worker: the signal that would tell of input, if
that was asked for (F_SETSIG). Of all that tells one open file from another it is the cheapest to ask for."""

_HELPERS = (
    ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
)

_STATE_WORDS = 4
_WORD_BYTES = 4


class Baseline:
    """The state of a worker process between two tasks. Main thread only."""

    def __init__(self) -> None:
        self._directory = os.open(".", os.O_PATH | os.O_CLOEXEC)
        self._cwd = os.getcwd()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environ = dict(_environment())
        self._handlers = _handlers()
        self._mask = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._recursion_limit = sys.getrecursionlimit()
        self._threads = threading.active_count()
        self._helpers = frozenset(_helpers())
        self._listing = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # our own connections come and go, whatever else is open stays open
        self._kept = _Kept([fd for fd in _descriptors() if not _is_socket(fd)])
        self._count = self._open_count()
        for fd in (1, 2):
            fcntl.fcntl(fd, fcntl.F_SETSIG, _MARK)
        self._seed = Seed()

    def calm(self) -> str | None:
        """End what the last task left that may still do something. Returns why the worker must be replaced, or None."""
        try:
            self._restore_signals()
            if sys.getrecursionlimit() != self._recursion_limit:
                sys.setrecursionlimit(self._recursion_limit)
            if sys.gettrace() is not None or sys.getprofile() is not None:
                sys.settrace(None)
                sys.setprofile(None)
            log.restore()
            threads = threading.active_count() > self._threads
            if not threads:
                _end_helpers(self._helpers)
            end_children()
        except OSError as error:
            return _beyond(error)
        return "the task left threads running" if threads else None

    def restore(self) -> str | None:
        """Undo what else it changed, after `calm`. Returns the same as that does."""
        try:
            self._restore_process()
            sys.stdin, sys.stdout, sys.stderr = self._streams
            if not gc.isenabled():
                gc.enable()
            self._seed.renew()
            return self._damage()
        except OSError as error:  # no descriptor is left to look with, or the directory is gone
            return _beyond(error)

    def _restore_process(self) -> None:
        if _cwd() != self._cwd:
            os.fchdir(self._directory)
        os.umask(self._umask)
        if _environment() != self._environ:
            os.environb.clear()
            os.environb.update(self._environ)

    def _restore_signals(self) -> None:
        if _handlers() != self._handlers:
            for number, handler in zip(_WATCHED, self._handlers, strict=True):
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for timer in _TIMERS:
            if _getitimer(timer) != _UNSET:
                signal.setitimer(timer, 0)
        if _signal.pthread_sigmask(_BLOCK, ()) != self._mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _damage(self) -> str | None:
        if not self._kept.open():
            return "the task closed descriptors that are not its own"
        gained = self._open_count() - self._count
        if gained > FD_SLACK:
            return f"the task left {gained} descriptors open"
        if fcntl.fcntl(1, fcntl.F_GETSIG) != _MARK or fcntl.fcntl(2, fcntl.F_GETSIG) != _MARK:
            return "the task replaced standard output or standard error"
        return None

    def _open_count(self) -> int:
        return _counted(self._listing) or len(_descriptors())


class Seed:
    """The generator behind the functions of `random`: seeded anew after every task that has used it or seeded it.

    Seeding costs more than all else that is restored, and most tasks draw no number. CPython keeps the generator's state in
    the object itself; the first words of it, which every draw and every seed change, tell whether it was touched. That they
    are where they are thought to be is tried out; where they are not, every call seeds.
    """

    def __init__(self) -> None:
        self._bits = random.SystemRandom().getrandbits
        self._generator = getattr(random, "_inst", None)
        self._words = _state_words(self._generator)
        self._untouched = b""

    def renew(self) -> None:
        """Let the next number be one that nobody can foresee."""
        words = self._words
        if words is not None and words.raw == self._untouched:
            return
        random.seed(self._bits(64))
        self._untouched = words.raw if words is not None else b""


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
        return not self._closed() and all(map(_is_open, self._others))

    def _closed(self) -> list[int]:
        return [fd for fd, event in self._poll.poll(0) if event & select.POLLNVAL]


def _beyond(error: OSError) -> str:
    return f"the task left a process that cannot be restored: {error}"


def end_children() -> None:
    """Kill and reap the children of this process, and the orphans of theirs, which come to us: we are their subreaper."""
    while has_children():
        kill_children()


def _helpers() -> dict[int, Any]:
    """The processes that multiprocessing keeps beside us, with what stands for each of them there."""
    found = {}
    for module_name, name, pid_name in _HELPERS:
        module = sys.modules.get(module_name)
        helper = None if module is None else getattr(module, name, None)
        pid = None if helper is None else getattr(helper, pid_name, None)
        if pid is not None:
            found[pid] = helper
    return found


def _end_helpers(kept: Collection[int]) -> None:
    """End them so that multiprocessing does not go on to look for them; not those that an import has started before us."""
    for pid, helper in _helpers().items():
        if pid not in kept:
            os.kill(pid, signal.SIGKILL)  # or it would be waited for
            helper._stop()


def _environment() -> dict[bytes, bytes]:
    """The encoded variables behind os.environ: comparing those costs a fiftieth of comparing os.environ itself."""
    encoded: dict[bytes, bytes] = vars(os.environ)["_data"]
    return encoded


def _handlers() -> list[Any]:
    """What handles each watched signal. signal.getsignal() makes members of an enumeration of it, which costs ten times as
    much, as do all functions of `signal` that Python wraps."""
    return list(map(_signal.getsignal, _NUMBERS))


def _state_words(generator: object) -> ctypes.Array[ctypes.c_char] | None:
    """The position in the state of a generator and the first words of the state, as they are in memory; None if they are not
    there."""
    if type(generator) is not random.Random:
        return None
    words = (ctypes.c_char * ((1 + _STATE_WORDS) * _WORD_BYTES)).from_address(id(generator) + object.__basicsize__)
    for tried in range(2):
        if tried:
            generator.seed(generator.getrandbits(32))
            generator.random()
        _, state, _ = generator.getstate()
        known = b"".join(word.to_bytes(_WORD_BYTES, sys.byteorder) for word in (state[-1], *state[:_STATE_WORDS]))
        if words.raw != known:
            return None
    return words


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


def _is_open(fd: int) -> bool:
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # the task removed the directory it was in
