"""Which process on which machine: an identity that a restart can be compared with.

A process is named by boot id, pid namespace, pid and start time, so that neither a container that sees the same pids nor a
recycled pid is mistaken for it. Reads /proc only.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec


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
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def resident_bytes(pid: int) -> int:
    """The resident size of a process now; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
