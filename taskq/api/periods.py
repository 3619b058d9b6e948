"""The periods that are asked for: which minutes and hours they are, and what is wrong with one. Pure.

Minutes are kept for a day and hours for thirty days, so a period that begins earlier is one of whole hours. What it begins
and ends with counts as a whole. Nobody is refused for a clock that is a little off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from taskq.api.describe import Parameter
from taskq.api.query import Query
from taskq.api.views import second
from taskq.members import MOMENT_SCHEMA, SOME_DURATION_SCHEMA, moment_ms, some_duration_s
from taskq.queue.history import HOUR_S, HOURS_KEPT, MINUTE_S, MINUTES_KEPT, Now, Slice
from taskq.units import format_duration, shown

MOST_POINTS = 1500
MOST_READ = 50_000
"""Minutes and hours, of all queues together, that one request reads."""

SLACK_MIN = 30
"""So much longer than promised is everything kept, which leaves room for clocks and for roundings."""

USUAL_POINTS = 300
STEPS_S = (60, 300, 900, 3600, 3 * 3600, 12 * 3600, 24 * 3600)
"""What is chosen from for those who name no step: the first with which there are no more points than usual."""

FROM = Parameter(
    name="from",
    schema=MOMENT_SCHEMA,
    description="The beginning, in the last thirty days; the minute that it is in counts, beyond a day ago the hour.",
)
TO = Parameter(name="to", schema=MOMENT_SCHEMA, description="The end; without it, and at the latest, now.")
STEP = Parameter(
    name="step",
    schema=SOME_DURATION_SCHEMA,
    description="The time between two points, a multiple of `1m`, or of `1h` if `from` is more than a day ago. "
    f"At most {MOST_POINTS} points are answered.",
    example="5m",
)


@dataclass(frozen=True, kw_only=True)
class Period:
    """From one moment up to another, in seconds since the epoch, in so many points of `step_s`; `slices` cover it."""

    from_s: int
    to_s: int
    step_s: int
    slices: tuple[Slice, ...]
    until_now: bool

    @property
    def points(self) -> int:
        """How many there are."""
        return (self.to_s - self.from_s) // self.step_s

    @property
    def hours_and_minutes(self) -> int:
        """How many of these are read for each queue."""
        return sum(each.end - each.first for each in self.slices)


def read_total(query: Query, now: Now, usual_s: int) -> Period:
    """A period as a whole. A query without `from` means the last `usual_s`. Faults are left in the query."""
    first, end = _range(query, now, usual_s)
    if first < _oldest(now):
        first -= first % 60
    hour = end // 60 * 60
    if hour < _oldest(now) and hour < end:
        end = hour = hour + 60
    begin = min(math.ceil(first / 60) * 60, end)
    slices = (
        Slice(MINUTE_S, first, begin),
        Slice(HOUR_S, begin // 60, max(hour, begin) // 60),
        Slice(MINUTE_S, max(hour, begin), end),
    )
    return _period(first, end, end - first, slices, now)


def read_steps(query: Query, now: Now, usual_s: int) -> Period:
    """A period in steps. Faults are left in the query."""
    first, end = _range(query, now, usual_s)
    old = first < _oldest(now)
    step_s = query.read(STEP, _step(old), 0) or next(
        step_s for step_s in STEPS_S if (end - first) * MINUTE_S / step_s <= USUAL_POINTS and not (old and step_s < HOUR_S)
    )
    step = step_s // MINUTE_S
    first, end = first // step * step, math.ceil(end / step) * step
    if (end - first) // step > MOST_POINTS:
        query.fault(
            STEP, f"expected at least {_least_step(end - first, old)} for this period, which then has {MOST_POINTS} points"
        )
        end = first + step
    unit_s = MINUTE_S if step_s % HOUR_S else HOUR_S
    unit = unit_s // MINUTE_S
    return _period(first, end, step, (Slice(unit_s, first // unit, end // unit),), now)


def _range(query: Query, now: Now, usual_s: int) -> tuple[int, int]:
    """The first minute, and the one after the last."""
    to_ms = min(query.read(TO, moment_ms, now.ms), now.ms)
    from_ms = query.read(FROM, _beginning(now), None)
    if from_ms is None:
        from_ms = max(to_ms - usual_s * 1000, _earliest_ms(now))
    if from_ms >= to_ms:
        query.fault(TO, f"expected a moment after from, {second(from_ms)}")
        to_ms = from_ms + 1
    return from_ms // 1000 // MINUTE_S, math.ceil(to_ms / 1000 / MINUTE_S)


def _beginning(now: Now) -> Callable[[str], int | None]:
    def read(text: str) -> int:
        ms = moment_ms(text)
        if ms < _earliest_ms(now):
            raise ValueError(f"expected a moment in the last 30 days, for which hours are kept, got {shown(text)}")
        if ms >= now.ms:
            raise ValueError(f"expected a moment in the past, got {shown(text)}")
        return ms

    return read


def _earliest_ms(now: Now) -> int:
    return now.ms - (HOURS_KEPT * 60 + SLACK_MIN) * MINUTE_S * 1000


def _oldest(now: Now) -> int:
    """The oldest minute that is kept for itself."""
    return now.minute - MINUTES_KEPT - SLACK_MIN


def _step(old: bool) -> Callable[[str], int]:
    def read(text: str) -> int:
        seconds = some_duration_s(text)
        unit_s = HOUR_S if old else MINUTE_S
        if seconds % unit_s or seconds > HOURS_KEPT * HOUR_S:
            why = " for a period that begins more than a day ago, of which only hours are kept" if old else ""
            raise ValueError(f"expected a multiple of {format_duration(unit_s)}, at most 30d{why}, got {shown(text)}")
        return int(seconds)

    return read


def _least_step(minutes: int, old: bool) -> str:
    least, unit = math.ceil(minutes / MOST_POINTS), 60 if old else 1
    return format_duration(math.ceil(least / unit) * unit * MINUTE_S)


def _period(first: int, end: int, step: int, slices: tuple[Slice, ...], now: Now) -> Period:
    return Period(
        from_s=first * MINUTE_S,
        to_s=end * MINUTE_S,
        step_s=max(step, 1) * MINUTE_S,
        slices=slices,
        until_now=end > now.minute,
    )
