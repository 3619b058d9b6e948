"""What running attempts tell about themselves: it ends no task, may be lost, and is refused from an overtaken attempt.

The scripts behind these methods are safe to repeat and, unlike those that settle, are refused at maxmemory (QueueFull):
what only informs must not fill a full Redis. All of them raise QueueUnavailable, QueueFull or QueueRefused.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from taskq.output import BLOCK_BYTES, Block, run_of
from taskq.queue.connection import Link
from taskq.queue.keys import Keys
from taskq.queue.record import progress_json
from taskq.queue.scripts import load
from taskq.task import Progress, Verdict

REPORTS = 200
"""The most reports that one call of a script takes."""


class Holder(NamedTuple):
    """An attempt, and the worker that runs it."""

    worker_id: str
    task_id: str
    attempt: int


class Printed(NamedTuple):
    """What an attempt has printed, in bytes; `cut` when the beginning is no longer kept."""

    data: bytes
    cut: bool


class Reports:
    """The reports of one queue."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self.link = link
        self.keys = keys

    def count_stale(self) -> None:
        """Count a write of an overtaken attempt that was refused. Raises nothing: it may be lost, never doubled."""
        self.link.once(lambda client: client.hincrby(self.keys.counters, "stale", 1))

    def progress(self, reports: Sequence[tuple[Holder, Progress]]) -> int:
        """Note how far attempts have come; returns how many of them still held their task."""
        keys = [self.keys.task_prefix, self.keys.processing_prefix]
        noted = 0
        for at in range(0, len(reports), REPORTS):
            args = [arg for holder, said in reports[at : at + REPORTS] for arg in (*holder, progress_json(said))]
            noted += self.link.script(load("progress"), keys, args)
        return noted

    def output(self, holder: Holder, blocks: Sequence[Block], kept_bytes: int) -> Verdict:
        """Keep what an attempt has printed; of all attempts of its task the newest `kept_bytes`, rounded up to a block."""
        keys = [self.keys.task_prefix, self.keys.processing_prefix, self.keys.output_prefix]
        args = [*holder, kept_bytes // BLOCK_BYTES + 1, *itertools.chain.from_iterable(blocks)]
        return Verdict(self.link.script(load("output"), keys, args).decode())

    def printed(self, task_id: str, kept_bytes: int) -> dict[int, Printed]:
        """What the attempts of a task have printed, as far as it is kept, at most `kept_bytes` of each."""
        stored: Any = self.link.run(lambda client: client.hgetall(self.keys.output_prefix + task_id))
        attempts: defaultdict[int, list[Block]] = defaultdict(list)
        for field, block in stored.items():
            number, _, offset = field.decode().partition(":")
            attempts[int(number)].append((int(offset), block))
        found = {}
        for number in sorted(attempts):
            start, data = run_of(attempts[number])
            found[number] = Printed(data[max(0, len(data) - kept_bytes) :], start > 0 or len(data) > kept_bytes)
        return found
