"""What is done to processes, each noted with its moment: signals that we send, and failpoints that hit."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

from .seen import Journal, now

FORK = multiprocessing.get_context("fork")
NOTHING = "-"
PROMPT = -10
"""Niceness of what stamps the hits: it must not wait behind what it watches."""


class Recorder:
    """Notes faults; one for each thread or process."""

    def __init__(self, seen: Path, name: str) -> None:
        self.path = seen / f"faults-{name}.seen"
        self._journal = Journal(self.path)

    def note(self, kind: str, place: str, pid: int, task_id: str = NOTHING) -> None:
        """Note what was just done to a process."""
        self._journal.note("fault", kind, place, pid, task_id or NOTHING, now())

    def strike(self, number: signal.Signals, kind: str, place: str, pid: int) -> None:
        """Note a fault and send the signal that is it."""
        self.note(kind, place, pid)
        send(number, pid)


class Watcher:
    """Hears of failpoints through a fifo in the place of their log: so the moment is known to the millisecond.

    A process of its own listens, for a thread of a busy client would be late.
    """

    def __init__(self, seen: Path) -> None:
        self.path = seen / "hits"
        os.mkfifo(self.path)
        # Opened for writing too, so that it never ends and no worker ever waits for a reader.
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._recorder = Recorder(seen, "failpoints")
        self._process = FORK.Process(target=self._listen, daemon=True)
        self._process.start()

    def hits(self) -> Counter[str]:
        """How often each failpoint has hit so far."""
        if not self._recorder.path.exists():
            return Counter()
        return Counter(line.split()[2] for line in self._recorder.path.read_text().splitlines())

    def close(self) -> None:
        """Stop listening. Nobody must be left who could hit."""
        os.write(self._fd, b"over\n")
        self._process.join()
        os.close(self._fd)

    def _listen(self) -> None:
        with suppress(PermissionError):
            os.nice(PROMPT)
        rest = b""
        while True:
            *lines, rest = (rest + os.read(self._fd, 65536)).split(b"\n")
            for line in lines:
                if line == b"over":
                    return
                point, action, pid, task_id = line.decode().split(" ")
                self._recorder.note(action, point, int(pid), task_id)


def send(number: signal.Signals, pid: int) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
