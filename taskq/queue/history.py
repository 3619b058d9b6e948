"""What happened when: the counters of a queue by minute and hour, and the fold that puts them there.

The scripts count into `:stats` and know nothing of time. Once a minute maintenance sets that hash aside and adds it to
`:stats:total`, `:stats:minute:<n>` and `:stats:hour:<n>` (both counted from the epoch), so a task costs nothing more.
A field of these two is `<event>:<type>`, how often, or `<event>_ms:<type>`, the sum of durations. What is not folded yet is
read as part of the minute to which it belongs. All of it raises QueueUnavailable or QueueRefused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from taskq.errors import QueueFull
from taskq.queue.inspect import Inspector
from taskq.queue.keys import Keys
from taskq.queue.queue import Queue
from taskq.queue.scripts import load
from taskq.queue.stats import OUTCOMES, hashes_at_once
from taskq.task import Status

MINUTE_S = 60
HOUR_S = 3600
MINUTES_KEPT = 24 * 60
HOURS_KEPT = 30 * 24

MOST_MOVED = 100
"""About so many counters are moved by one call of the script, which takes Redis two or three milliseconds."""

ROOM = 400
"""Counters that a minute, or an hour, of a queue has; about eighty types, and more are counted as one without a name."""

RATE_MINUTES = 5

NAMES: Mapping[str, str] = {
    **OUTCOMES,
    "die": "crashed",
    "enqueue": "enqueued",
    "expire": "expired",
    "bury": "buried",
    "withdraw": "withdrawn",
}
"""What is told, by the event that the scripts count: attempts that ended, and tasks that were accepted, or ended without an
attempt (expired, withdrawn: cancelled while it waited) or with its last crash (buried)."""

ENDS: Mapping[Status, Sequence[str]] = {
    Status.COMPLETED: ("completed",),
    Status.FAILED: ("failed", "expired", "buried"),
    Status.CANCELLED: ("cancelled", "withdrawn"),
}
"""What makes a task end, by the status that it has then."""

TIMED = tuple(name for name in OUTCOMES.values() if name != "crashed")
"""Attempts whose durations are known."""


class Growth:
    """What happened in some time, by name (see NAMES) and type: how often, and how many ms the attempts ran."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ms: Counter[tuple[str, str]] = Counter()

    def add(self, other: Growth) -> None:
        """Count this together with other growth."""
        self.counts.update(other.counts)
        self.ms.update(other.ms)

    def sum(self, *names: str) -> int:
        """How often any of these happened, whatever the type."""
        return sum(number for (name, _), number in self.counts.items() if name in names)

    def mean_s(self, *names: str) -> float | None:
        """How many seconds the attempts that ended so ran on average; None without any."""
        count = self.sum(*names)
        return sum(ms for (name, _), ms in self.ms.items() if name in names) / count / 1000 if count else None

    def only(self, type_: str) -> Growth:
        """What of it is of one type."""
        part = Growth()
        for whole, counter in ((self.counts, part.counts), (self.ms, part.ms)):
            counter.update({key: number for key, number in whole.items() if key[1] == type_})
        return part


class Slice(NamedTuple):
    """Some whole hours, or else minutes, from `first` up to but without `end`, counted from the epoch."""

    unit_s: int
    first: int
    end: int


class Now(NamedTuple):
    """The moment of a reading on Redis' clock."""

    ms: int

    @property
    def minute(self) -> int:
        """The minute, counted from the epoch."""
        return self.ms // 1000 // MINUTE_S


def fold(queue: Queue) -> tuple[bool, float]:
    """Move some of what has been counted to where it belongs in time. Whether there is more to do at once, and the seconds
    until the minute is over. A full Redis is left alone: the counters stay where they are."""
    more, rest_ms = False, MINUTE_S * 1000
    with suppress(QueueFull):
        more, rest_ms = queue.link.script(load("fold"), [queue.keys.stats], [MOST_MOVED, ROOM])
    return bool(more), rest_ms / 1000


def growth(inspector: Inspector, queue: str, slices: Sequence[Slice], now: Now) -> dict[int, Growth]:
    """What happened in each minute or hour of the slices, by the second since the epoch at which that begins; those without
    anything are left out."""
    names = inspector.queue(queue).keys
    keys = {_key(names, each.unit_s, at): at * each.unit_s for each in slices for at in range(each.first, each.end)}
    moving = [key for key in _moving(names, now) if key in keys]
    resting = [key for key in keys if key not in moving]
    found = dict(zip(resting, inspector.pipeline(lambda pipe: [pipe.hgetall(key) for key in resting]), strict=True))
    *replies, open_, aside = hashes_at_once(inspector, [*moving, names.stats, names.stats_aside])
    found |= dict(zip(moving, replies, strict=True))
    grown = {keys[key]: from_bucket(fields) for key, fields in found.items() if fields}
    for fields, minute in ((open_, now.minute), (aside, int(aside.get(b"minute", now.minute)))):
        for each in slices:
            at = minute * MINUTE_S // each.unit_s
            if fields and each.first <= at < each.end:
                grown.setdefault(at * each.unit_s, Growth()).add(from_counters(fields))
    return grown


def rates(inspector: Inspector, queue: str, now: Now) -> tuple[float, float]:
    """How many tasks came in a second and how many ended, over the last five minutes and the present one so far."""
    first = now.minute - RATE_MINUTES
    total = Growth()
    for grown in growth(inspector, queue, [Slice(MINUTE_S, first, now.minute + 1)], now).values():
        total.add(grown)
    seconds = now.ms / 1000 - first * MINUTE_S
    return total.sum("enqueued") / seconds, sum(total.sum(*names) for names in ENDS.values()) / seconds


def from_bucket(fields: Mapping[bytes, bytes]) -> Growth:
    """The growth that a minute or an hour holds."""
    grown = Growth()
    for field, number in fields.items():
        timed, key = _known(field)
        if key is not None:
            (grown.ms if timed else grown.counts)[key] = int(number)
    return grown


def from_counters(fields: Mapping[bytes, bytes | int]) -> Growth:
    """The same of counters that are not folded yet, or of the totals."""
    grown = Growth()
    for field, number in fields.items():
        event, _, rest = field.decode("utf-8", "replace").partition(":")
        part, _, type_ = rest.partition(":")
        if event in NAMES and event != "crash":  # which is counted as die
            (grown.ms if part == "ms" else grown.counts)[NAMES[event], type_] += int(number)
    return grown


@lru_cache(maxsize=4096)
def _known(field: bytes) -> tuple[bool, tuple[str, str] | None]:
    """Whether a field of a minute is a sum of durations, and the name and type of what it counts, None for one that
    is none of ours. There are many minutes and few fields."""
    words, _, type_ = field.decode("utf-8", "replace").partition(":")
    event = words.removesuffix("_ms")
    return words != event, (NAMES[event], type_) if event in NAMES else None


def _key(names: Keys, unit_s: int, at: int) -> str:
    return names.minute(at) if unit_s == MINUTE_S else names.hour(at)


def _moving(names: Keys, now: Now) -> list[str]:
    """The minutes and hours that a fold may be adding to now."""
    minutes = range(now.minute - 1, now.minute + 1)
    hours = sorted({minute * MINUTE_S // HOUR_S for minute in minutes})
    return [*map(names.minute, minutes), *map(names.hour, hours)]
