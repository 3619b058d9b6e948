"""What each process saw, appended to a file of its own, and read back as values. Standard library only: handlers use it.

A line is one write, so that it is whole or absent after SIGKILL; its words are separated by blanks, `-` stands for nothing.
Moments are seconds on the monotonic clock, which all processes of a machine share.

    start ID ATTEMPT PID AT WALL            a handler begins
    end ID ATTEMPT PID AT WALL HOW          it is about to return (ok) or to raise (raise)
    accepted ID TYPE AT                     a client got 201, or a direct enqueue returned
    answered STATUS AT                      a client got another answer, 0 for none
    posted KEY STATUS ID                    a client got this answer for its Idempotency-Key
    other KEY STATUS                        a client tried another body under a key, and got this answer
    stored ID                               at the end of a phase Redis holds this task
    fault KIND PLACE PID ID AT              we, or a failpoint, did something to a process
    final ID STATUS ATTEMPT RETRIES CRASHES VALUE OF_ATTEMPT CAUSE   what a client is told at the end
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DIRECTORY = "CHAOS_SEEN"
"""The environment variable that tells handlers where the files go."""


class Start(NamedTuple):
    """A handler began an attempt."""

    id: str
    attempt: int
    pid: int
    at: float


class Fault(NamedTuple):
    """Something was done to a process. `kind` is kill, stop, cont, lost (its supervisor was killed), frozen (its supervisor
    was stopped), down or up (of a daemon, which `place` names), or drop (of a reply, where `place` tells); `place` of a
    worker's fault is a failpoint such as P4."""

    kind: str
    place: str
    pid: int
    id: str
    at: float


class Final(NamedTuple):
    """A task as a client sees it at the end. `value` and `of_attempt` are its result's."""

    id: str
    status: str
    attempt: int
    retries: int
    crashes: int
    value: str
    of_attempt: int
    cause: str


class Seen:
    """Everything that the processes of one phase have seen."""

    def __init__(self, directory: Path) -> None:
        self.accepted: dict[str, str] = {}
        self.accepted_at: dict[str, float] = {}
        self.answers: dict[int, int] = {}
        self.starts: list[Start] = []
        self.ends: dict[tuple[str, int], str] = {}
        self.end_times: list[float] = []
        self.faults: list[Fault] = []
        self.finals: dict[str, Final] = {}
        self.posted: dict[str, list[tuple[int, str]]] = {}
        self.others: dict[str, int] = {}
        self.stored: set[str] = set()
        for path in sorted(directory.glob("*.seen")):
            for words in _lines(path):
                self._take(words)
        self.starts.sort(key=lambda start: start.at)
        self.faults.sort(key=lambda fault: fault.at)

    def _take(self, words: list[str]) -> None:
        match words:
            case ["start", id_, attempt, pid, at, _]:
                self.starts.append(Start(id_, int(attempt), int(pid), float(at)))
            case ["end", id_, attempt, _, at, _, how]:
                self.ends[id_, int(attempt)] = how
                self.end_times.append(float(at))
            case ["accepted", id_, type_, at]:
                self.accepted[id_] = type_
                self.accepted_at[id_] = float(at)
            case ["answered", status, _]:
                self.answers[int(status)] = self.answers.get(int(status), 0) + 1
            case ["posted", key, status, id_]:
                self.posted.setdefault(key, []).append((int(status), id_))
            case ["other", key, status]:
                self.others[key] = int(status)
            case ["stored", id_]:
                self.stored.add(id_)
            case ["fault", kind, place, pid, id_, at]:
                self.faults.append(Fault(kind, place, int(pid), id_, float(at)))
            case ["final", id_, status, attempt, retries, crashes, value, of_attempt, cause]:
                numbers = (int(attempt), int(retries), int(crashes))
                self.finals[id_] = Final(id_, status, *numbers, value, int(of_attempt), cause)
            case _:
                raise ValueError(f"a line that no process of ours writes: {words}")


class Journal:
    """The file of one process or thread. Opened at its first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def note(self, *words: object) -> None:
        """Append one line."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())

    def close(self) -> None:
        """Release the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def now() -> str:
    """The present moment as it is written."""
    return f"{time.monotonic():.6f}"


def value_of(task_id: str, attempt: int) -> str:
    """What an attempt of a task returns: another attempt returns something else, so an overwrite shows."""
    return hashlib.sha256(f"{task_id} {attempt}".encode()).hexdigest()[:16]


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield line.split()
