"""What became of tasks and attempts, by queue and type: the counters that scripts keep in the very step that they count.

A field of `:stats` is `<event>:<part>:<type>`. An event is a verb that ends an attempt (complete, retry, fail, release,
crash, cancel, delete), whose part is the buckets of the attempt's duration and of the wait before it, as `<run>.<wait>`,
or `ms` for the sum of durations; `expire` and `bury` (a task ended as failed because of its time, or of its crashes), and
`withdraw` (it was cancelled while it waited), whose part is `end`; `die`, whose part is the signal, `exit` or `silent`; or
`enqueue`, whose part is `in`. Of the totals the part is `<run>` alone, and the wait is that of the event `start`. The type
is empty for those beyond the room that the counters have. Numbers only ever grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from taskq.errors import QueueFull
from taskq.queue.inspect import Inspector

BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
"""Upper bounds of the buckets of a duration, the same as in lua/lib/attempts.lua; one more bucket has none."""

OUTCOMES = {
    "complete": "completed",
    "retry": "retried",
    "fail": "failed",
    "release": "released",
    "cancel": "cancelled",
    "delete": "deleted",
    "crash": "crashed",
}
"""How an attempt ended, by the verb that ended it."""


class Runs:
    """Attempts that have something in common: how many in each bucket of BOUNDS_S and above, and their seconds (which
    of waits are not known)."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    @property
    def estimate_s(self) -> float:
        """About how many seconds they took together: those of a bucket count as its middle, or as the highest bound."""
        middles = [(lower + upper) / 2 for lower, upper in zip((0, *BOUNDS_S), (*BOUNDS_S, BOUNDS_S[-1]), strict=True)]
        return sum(count * middle for count, middle in zip(self.buckets, middles, strict=True))

    def put(self, bucket: str, number: int) -> bool:
        """Count so many in a bucket as the scripts name it, from 1; False when there is none of that name."""
        if not (bucket.isdigit() and 1 <= int(bucket) <= len(self.buckets)):
            return False
        self.buckets[int(bucket) - 1] += number
        return True

    def add(self, other: Runs) -> None:
        """Count others with these."""
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]
        self.sum_s += other.sum_s


class Counted(NamedTuple):
    """The counters of one queue. `runs` by event and type, of crashes only those whose worker lived; `ends` (expire, bury,
    withdraw) by event and type; `deaths`, every crash, by cause (a signal, exit or silent) and type; `waits` of the attempts
    in `runs`, from when a task could have started until it did, and `enqueued` by type."""

    runs: dict[tuple[str, str], Runs]
    ends: dict[tuple[str, str], int]
    deaths: dict[tuple[str, str], int]
    waits: dict[str, Runs]
    enqueued: dict[str, int]

    def attempts(self) -> dict[tuple[str, str], int]:
        """How many attempts have ended, by outcome and type."""
        found = {(OUTCOMES[event], type_): runs.count for (event, type_), runs in self.runs.items() if event != "crash"}
        for (_, type_), number in self.deaths.items():
            found["crashed", type_] = found.get(("crashed", type_), 0) + number
        return found


def counted(inspector: Inspector, queue: str) -> Counted:
    """Read the counters of a queue in one step. Raises QueueUnavailable or QueueRefused."""
    return from_hash(counters(inspector, queue))


def counters(inspector: Inspector, queue: str) -> Counter[bytes]:
    """The fields as they are counted, since the beginning: the totals, and what is not folded into them yet."""
    keys = inspector.queue(queue).keys
    found: Counter[bytes] = Counter()
    for fields in hashes_at_once(inspector, [keys.stats, keys.stats_aside, keys.stats_total]):
        for field, number in fields.items():
            found[field] += int(number)
    return found


def hashes_at_once(inspector: Inspector, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
    """Hashes as they are at one moment: a fold in between would be seen twice, or not at all."""

    def read(*, transaction: bool) -> list[dict[bytes, bytes]]:
        def action(client: Any) -> list[dict[bytes, bytes]]:
            pipe = client.pipeline(transaction=transaction)
            for key in keys:
                pipe.hgetall(key)
            return list(pipe.execute())

        return inspector.link.run(action)

    try:
        return read(transaction=True)
    except QueueFull:  # Redis 7.0 then refuses every transaction, but also every fold
        return read(transaction=False)


def from_hash(fields: Mapping[bytes, bytes | int]) -> Counted:
    """The counters that a hash holds; a field that is none of ours is left out."""
    found = Counted({}, {}, {}, {}, {})
    for field, value in fields.items():
        event, _, rest = field.decode("utf-8", "replace").partition(":")
        part, _, type_ = rest.partition(":")
        number = int(value)
        if event == "die":
            found.deaths[part, type_] = number
        elif part == "end":
            found.ends[event, type_] = number
        elif event == "enqueue":
            found.enqueued[type_] = number
        elif event == "start":
            found.waits.setdefault(type_, Runs()).put(part, number)
        elif event in OUTCOMES:
            runs = found.runs.setdefault((event, type_), Runs())
            ran, _, waited = part.partition(".")
            if part == "ms":
                runs.sum_s += number / 1000
            elif runs.put(ran, number) and waited:
                found.waits.setdefault(type_, Runs()).put(waited, number)
    return found
