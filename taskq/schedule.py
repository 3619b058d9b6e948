"""Schedules: what one is, when its ticks are, and which of them are to be fired at a moment. Pure functions of values.

Cron lines are read and followed by cronsim, which does as Debian's cron does, also when clocks change: a job at a fixed time
that falls into a skipped hour runs right after it, and one in a repeated hour runs once; a job that runs every hour or more
often (its minute or hour begins with a star) follows the clock as it is. Moments are milliseconds since the epoch.
"""

from __future__ import annotations

import enum
import functools
import itertools
import uuid
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from cronsim import CronSim, CronSimError

from taskq.task import NewTask, Priority

LATE_MS = 60_000
"""A tick still counts as being on time so long after its moment: a restart or a short outage of Redis drops none."""

CRON = "a cron line of five fields (minute hour day month weekday), or of six with seconds first"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SHIFT = timedelta(hours=3)
"""Clocks are never put forward or back by more; cronsim and Debian's cron stop at the same length."""

_NOT_IANA = ("localtime", "Factory", "posix", "right/")
"""Names that the files of time zones also have, and that mean another time on each machine or another count of seconds."""

_IDS = uuid.UUID("4f0c5f0e-8a53-4c0b-9c65-6d4c1d1f2b7a")


class Overlap(enum.StrEnum):
    """What happens at a tick while the task of an earlier one has not ended."""

    ALLOW = "allow"
    SKIP = "skip"


class CatchUp(enum.StrEnum):
    """What happens to the ticks of an outage: nothing, or the last of them is fired once it is over."""

    NONE = "none"
    LAST = "last"


class Line(NamedTuple):
    """When a schedule ticks: a cron line, read on the clocks of an IANA time zone."""

    cron: str
    timezone: str


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule as every machine knows it. `payload` is JSON text or None for none."""

    name: str
    cron: str
    timezone: str
    type: str
    payload: str | None
    queue: str
    priority: Priority
    overlap: Overlap
    catch_up: CatchUp
    enabled: bool
    max_retry: int

    @property
    def line(self) -> Line:
        """When it ticks while it is enabled."""
        return Line(self.cron, self.timezone)

    def task(self, id_: str) -> NewTask:
        """The task that it enqueues, with this id."""
        return NewTask(
            id=id_,
            type=self.type,
            payload=None if self.payload is None else self.payload.encode(),
            queue=self.queue,
            priority=self.priority,
            max_retry=self.max_retry,
        )


def check_cron(text: str) -> str:
    """The cron line with single spaces. Raises ValueError, with what is wrong as its text, for one that never ticks."""
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))  # a leap year, or a 29th of February would be far away
    except CronSimError as error:
        raise ValueError(str(error)[:1].lower() + str(error)[1:]) from error
    except StopIteration:
        raise ValueError("it is never true within 50 years") from None
    except (AssertionError, TypeError, ValueError, OverflowError) as error:
        raise ValueError("this cannot be read") from error
    return " ".join(text.split())


def check_timezone(name: str) -> str:
    """The name, if this machine knows the time zone. Raises ValueError."""
    try:
        if name.startswith(_NOT_IANA):
            raise ValueError
        _zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("unknown time zone") from error
    return name


def ticks(line: Line, after_ms: int) -> Iterator[int]:
    """Every tick after a moment, in order. Ends if there is none for 50 years."""
    for tick in CronSim(line.cron, _local(line, after_ms)):
        tick_ms = _ms(tick)
        if tick_ms > after_ms:  # begun in a repeated hour, cronsim may name a moment of the first pass
            yield tick_ms


def next_tick(line: Line, after_ms: int) -> int | None:
    """The first tick after a moment; None if there is none for 50 years."""
    return next(ticks(line, after_ms), None)


def last_tick(line: Line, at_ms: int) -> int | None:
    """The last tick at or before a moment; None if there was none for 50 years."""
    start, shift_ms = _local(line, at_ms + 1), _LONGEST_SHIFT // timedelta(milliseconds=1)
    if start.utcoffset() != _local(line, at_ms - shift_ms).utcoffset():
        start += _LONGEST_SHIFT  # on clocks that were put back just now, the tick may seem to lie ahead
    for tick_ms in filter(lambda ms: ms <= at_ms, map(_ms, CronSim(line.cron, start, reverse=True))):
        if _local(line, tick_ms - shift_ms).utcoffset() == _local(line, at_ms).utcoffset():
            return tick_ms
        # where clocks change by half an hour, cronsim sees ticks backwards that it leaves out forwards
        found = max(itertools.takewhile(lambda ms: ms <= at_ms, ticks(line, tick_ms - shift_ms)), default=None)
        if found is not None:
            return found
    return None


def due_ticks(line: Line, last_ms: int, now_ms: int, catch_up: CatchUp) -> list[int]:
    """The ticks to fire now, in order, if the last one that was dealt with is `last_ms`: all that are not late, or else the
    last one that was missed, if it is to be caught up on."""
    on_time = []
    for tick_ms in ticks(line, max(last_ms, now_ms - LATE_MS)):
        if tick_ms > now_ms:
            break
        on_time.append(tick_ms)
    if on_time or catch_up is CatchUp.NONE:
        return on_time
    missed = missed_tick(line, last_ms, now_ms)
    return [] if missed is None else [missed]


def missed_tick(line: Line, last_ms: int, now_ms: int) -> int | None:
    """The last tick after `last_ms` that is too late by now."""
    if last_ms >= now_ms - LATE_MS:
        return None
    tick_ms = last_tick(line, now_ms - LATE_MS)
    return tick_ms if tick_ms is not None and tick_ms > last_ms else None


def task_id(prefix: str, name: str, tick_ms: int) -> str:
    """The id of the task of a tick: the same on every machine."""
    return str(uuid.uuid5(_IDS, f"{prefix}/{name}/{tick_ms}"))


@functools.cache
def time_zones() -> tuple[str, ...]:
    """The names of all time zones that this machine knows."""
    return tuple(sorted(name for name in zoneinfo.available_timezones() if not name.startswith(_NOT_IANA)))


def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def _local(line: Line, ms: int) -> datetime:
    # UTC by its own name: cronsim has a faster way for it
    zone = UTC if line.timezone == "UTC" else _zone(line.timezone)
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone)


def _ms(tick: datetime) -> int:
    return (tick - _EPOCH) // timedelta(milliseconds=1)
