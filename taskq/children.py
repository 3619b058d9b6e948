"""The children of this process, as the kernel knows them, also those that it never started itself (orphans come to a
subreaper), and the ties between parent and child."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Collection
from pathlib import Path
from types import FrameType

_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to end."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_quick = ctypes.PyDLL(None)  # keeps the GIL: for what returns at once
_ANY_ENDED = (ctypes.c_int(os.P_ALL), ctypes.c_int(0), None, ctypes.c_int(os.WEXITED | os.WNOHANG | os.WNOWAIT))


def become_subreaper() -> None:
    """Orphans among our descendants become our children, so that we can end them."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def leave_ending_to_parent() -> None:
    """Go on when we are asked to end, but let our descendants end then: those that fork from us, and programs.

    A signal that is ignored stays ignored in everything that this process starts, so that Popen.terminate() of a task, and
    the end of a multiprocessing.Pool, would have no effect; one that a function handles does not. Main thread only.
    """
    if not _Forking.watched:
        os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_end_as_usual)
        _Forking.watched = True
    for number in _ENDINGS:
        signal.signal(number, _go_on)
        signal.siginterrupt(number, False)


class _Forking(threading.local):
    """What a thread that forks held back before. Python forgets a signal that reaches a child before it is ready."""

    watched = False
    mask: Collection[int] = ()


def _go_on(_number: int, _frame: FrameType | None) -> None:
    pass


def _hold_back() -> None:
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _end_as_usual() -> None:
    for number in _ENDINGS:
        if signal.getsignal(number) is _go_on:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _let_through()


_forking = _Forking()


def die_with_parent(parent_pid: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send `number` to this process when its parent ends; end at once if that has happened already."""
    if _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os._exit(1)


def children() -> list[int]:
    """The pids of the children of this process, also of dead ones that were not reaped."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # the thread has ended
    return found


def has_children() -> bool:
    """True if there is any; one system call. os.waitid() says no by an exception, which costs twice as much."""
    return bool(_quick.waitid(*_ANY_ENDED) == 0)


def kill_children(spare: Collection[int] = ()) -> list[int]:
    """Kill and reap every child that is not in `spare`; returns their pids. Orphans that this makes may come to us next."""
    killed = []
    for pid in children():
        if pid in spare:
            continue
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
        killed.append(pid)
    return killed
