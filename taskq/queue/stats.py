"""What became of attempts, by queue and type: the counters that the scripts keep in the very step that they count.

A field of `:stats` is `<event>:<part>:<type>`. An event is a verb that settles (complete, retry, fail, release, crash),
whose part is the bucket of the attempt's duration or `ms` for the sum of durations; or `expire` and `bury` (a task ended as
failed because of its time, or of its crashes), whose part is `end`; or `die`, whose part is the signal, `exit` or `silent`.
The type is empty for those beyond the room that the counters have. Numbers only ever grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskq.queue.inspect import Inspector

BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
"""Upper bounds of the buckets of a duration, the same as in lua/lib/tally.lua; one more bucket has none."""

OUTCOMES = {"complete": "completed", "retry": "retried", "fail": "failed", "release": "released", "crash": "crashed"}
"""How an attempt ended, by the verb that settled it."""


class Runs:
    """Attempts of one type that ended in one way: how many in each bucket of BOUNDS_S and above, and their seconds."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    def add(self, other: Runs) -> None:
        """Count others with these."""
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]
        self.sum_s += other.sum_s


class Counted(NamedTuple):
    """The counters of one queue. `runs` by event and type, `ends` (expire, bury) by event and type, `deaths` by cause and
    type: a signal, exit or silent."""

    runs: dict[tuple[str, str], Runs]
    ends: dict[tuple[str, str], int]
    deaths: dict[tuple[str, str], int]


def counted(inspector: Inspector, queue: str) -> Counted:
    """Read the counters of a queue in one step. Raises QueueUnavailable or QueueRefused."""
    key = inspector.queue(queue).keys.stats
    fields: Any = inspector.link.run(lambda client: client.hgetall(key))
    return from_hash(fields)


def from_hash(fields: Mapping[bytes, bytes]) -> Counted:
    """The counters that a hash holds; a field that is none of ours is left out."""
    found = Counted({}, {}, {})
    for field, value in fields.items():
        event, _, rest = field.decode("utf-8", "replace").partition(":")
        part, _, type_ = rest.partition(":")
        number = int(value)
        if event == "die":
            found.deaths[part, type_] = number
        elif part == "end":
            found.ends[event, type_] = number
        elif event in OUTCOMES:
            _add(found.runs.setdefault((event, type_), Runs()), part, number)
    return found


def _add(runs: Runs, part: str, number: int) -> None:
    if part == "ms":
        runs.sum_s += number / 1000
    elif part.isdigit() and 1 <= int(part) <= len(runs.buckets):
        runs.buckets[int(part) - 1] += number
