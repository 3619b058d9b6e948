"""What the service itself said: the few events of its log that the checker compares with what the processes saw."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

_DAEMONS = ("api.exited", "maintenance.exited", "broker.exited")
_WANTED = ("task.stale", "task.reaped", "task.failed", "lease.lost", "worker.exited", *_DAEMONS)


class Reaped(NamedTuple):
    """A started task was taken from a worker that had died or was silent."""

    id: str
    attempt: int
    pid: int


class Exit(NamedTuple):
    """A worker ended: by a signal, or with a code."""

    pid: int
    code: int | None
    signal: str | None

    @property
    def clean(self) -> bool:
        """True for a worker that ended because it was told to."""
        return self.code == 0


class Logs:
    """The logs of all services of one phase."""

    def __init__(self, directory: Path) -> None:
        lines = [line for path in sorted(directory.glob("*.stdout-*")) for line in _events(path)]
        exited = [line for line in lines if line["event"] == "worker.exited"]
        pids = {line["worker_id"]: int(line["pid"]) for line in exited}
        self.exits = [Exit(int(line["pid"]), line.get("exit_code"), line.get("signal")) for line in exited]
        self.reaped = [
            Reaped(line["task_id"], line["attempt"], pids.get(line["worker_id"], 0))
            for line in lines
            if line["event"] == "task.reaped" or (line["event"] == "task.failed" and line.get("process") == "maintenance")
        ]
        self.stale = [pids.get(line["worker_id"], 0) for line in lines if line["event"] == "task.stale"]
        """The pid of each worker whose write was refused."""
        self.lapsed = {pids.get(line["worker_id"], 0) for line in lines if line["event"] == "lease.lost"}
        """Workers whose lease was lost."""
        self.daemon_exits = Counter(
            line["event"].removesuffix(".exited")
            for line in lines
            if line["event"] in _DAEMONS and line.get("exit_code") != 0
        )
        errors = "".join(path.read_text(errors="replace") for path in sorted(directory.glob("*.stderr-*")))
        self.tracebacks = errors.count("Traceback (most recent call last)")


def _events(path: Path) -> list[dict[str, Any]]:
    found = []
    with path.open(errors="replace") as lines:
        for line in lines:
            if any(event in line for event in _WANTED) and line.endswith("\n"):
                decoded = json.loads(line)
                if decoded["event"] in _WANTED:
                    found.append(decoded)
    return found
