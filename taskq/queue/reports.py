"""What running attempts tell about themselves: it ends no task, may be lost, and is refused from an overtaken attempt.

The scripts behind these methods are safe to repeat and, unlike those that settle, are refused at maxmemory (QueueFull):
what only informs must not fill a full Redis. All of them raise QueueUnavailable, QueueFull or QueueRefused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from taskq.queue.connection import Link
from taskq.queue.keys import Keys
from taskq.queue.record import progress_json
from taskq.queue.scripts import load
from taskq.task import Progress

REPORTS = 200
"""The most reports that one call of a script takes."""


class Report(NamedTuple):
    """How far the attempt that `worker_id` runs has come."""

    worker_id: str
    task_id: str
    attempt: int
    progress: Progress


class Reports:
    """The reports of one queue."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self.link = link
        self.keys = keys

    def progress(self, reports: Sequence[Report]) -> int:
        """Note how far attempts have come; returns how many of them still held their task."""
        keys = [self.keys.task_prefix, self.keys.processing_prefix]
        noted = 0
        for at in range(0, len(reports), REPORTS):
            args = [arg for report in reports[at : at + REPORTS] for arg in (*report[:3], progress_json(report.progress))]
            noted += self.link.script(load("progress"), keys, args)
        return noted
