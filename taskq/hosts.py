"""Which process on which machine: an identity that a restart can be compared with.

A process is named by boot id, pid namespace, pid and start time, so that neither a container that sees the same pids nor a
recycled pid is mistaken for it. Reads /proc only.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_READ_BYTES = 4096


class ProcessIdentity(msgspec.Struct, frozen=True):
    """`start_ticks` counts clock ticks from boot to the start of the process."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int


def identity(pid: int | None = None) -> ProcessIdentity:
    """The identity of a running process of this machine (None: this one). Raises ProcessLookupError if there is none."""
    number = os.getpid() if pid is None else pid
    started = start_ticks(number)
    if started is None:
        raise ProcessLookupError(number)
    return ProcessIdentity(socket.gethostname(), boot_id(), pid_namespace(), number, started)


def is_ours_and_gone(other: ProcessIdentity) -> bool:
    """True when `other` ran in this boot and pid namespace and has ended; False also when that cannot be known."""
    if other.boot_id != boot_id() or other.pid_namespace != pid_namespace():
        return False
    return start_ticks(other.pid) != other.start_ticks


def boot_id() -> str:
    """Changes with every boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def pid_namespace() -> str:
    """The same for all processes that see the same pids."""
    return os.readlink("/proc/self/ns/pid")


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None for one that is not there or is a zombie."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def stat_fields(pid: int) -> list[str] | None:
    """/proc/<pid>/stat from the state on (field 3 of proc(5)); None when there is no such process."""
    text = _read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    return text[text.rindex(")") + 2 :].split() if text else None


def state(pid: int) -> str:
    """The state of a process as one letter, see proc(5); '' when there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    at = text.rfind(b")") + 2
    return text[at : at + 1].decode()


def resident_bytes(pid: int) -> int:
    """The resident size of a process now; 0 when it is gone."""
    fields = _read(f"/proc/{pid}/statm").split(maxsplit=2)
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _read(path: str) -> bytes:
    """A small file of /proc in one piece, without the looks at it that Path takes: it is read for every worker again and
    again. Nothing when its process is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return b""
    try:
        return os.read(fd, _READ_BYTES)
    except ProcessLookupError:
        return b""
    finally:
        os.close(fd)
