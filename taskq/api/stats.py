"""What happened: totals, columns for a chart, and /analytics, the three numbers that the original service told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import falcon
import msgspec
from msgspec import UNSET, UnsetType

from taskq.api import shapes
from taskq.api.context import ApiContext
from taskq.api.describe import Answer, Operation, Parameter, describe, json
from taskq.api.listing import QUEUE, TYPE
from taskq.api.metrics import OTHER
from taskq.api.periods import FROM, MOST_READ, STEP, TO, Period, read_steps, read_total
from taskq.api.query import Query
from taskq.api.views import second
from taskq.members import name
from taskq.queue import history, stats
from taskq.queue.history import ENDS, HOUR_S, NAMES, TIMED, Growth, Now
from taskq.queue.inspect import Inspector
from taskq.queue.stats import OUTCOMES
from taskq.task import Status
from taskq.units import shown

MOST_SERIES = 50
DAY_S = 24 * HOUR_S


class By(StrEnum):
    """What a chart is divided by."""

    OUTCOME = "outcome"
    QUEUE = "queue"
    TYPE = "type"


BY = Parameter(
    name="by",
    schema={"type": "string", "enum": list(By), "default": "outcome"},
    description="One series for each. Of a queue or a type the attempts that ended are told; of the "
    f"{MOST_SERIES} with the most, and of all others as `{OTHER}`.",
)
ONLY_QUEUE = Parameter(name="queue", schema=QUEUE.schema, description="Only of it.", example="default")
ONLY_TYPE = Parameter(name="type", schema=TYPE.schema, description="Only of it.", example="echo")


class Stats:
    """GET /stats."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    @describe(
        Operation(
            id="get_stats",
            tag="stats",
            summary="Read totals",
            takes=[FROM, TO, ONLY_QUEUE, ONLY_TYPE],
            answers=[Answer(status=200, description="The totals.", shapes=json(shapes.Stats))],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What happened in a period or, without `from` and `to`, since the beginning."""
        now, query = Now(self._inspector.now_ms()), Query(req)
        period = read_total(query, now, DAY_S) if req.has_param("from") or req.has_param("to") else None
        wanted = _Wanted(self._inspector, query)
        query.check()
        if period is None:
            growths = [history.from_counters(stats.counters(self._inspector, queue)) for queue in wanted.queues]
        else:
            growths = [_total(grown.values()) for grown in wanted.read(period, now).values()]
        resp.data = msgspec.json.encode(_totals(_total([wanted.part(grown) for grown in growths]), period))

    on_head = on_get


class Timeseries:
    """GET /stats/timeseries."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    @describe(
        Operation(
            id="get_timeseries",
            tag="stats",
            summary="Read columns for a chart",
            takes=[FROM, TO, STEP, BY, ONLY_QUEUE, ONLY_TYPE],
            answers=[Answer(status=200, description="The columns.", shapes=json(shapes.Timeseries))],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """What happened in each step of a period, of the last hour without `from`. Every series has a number for each of the
        `times`; a mean that there is not is null."""
        now, query = Now(self._inspector.now_ms()), Query(req)
        by = query.read(BY, _by, By.OUTCOME)
        period, wanted = read_steps(query, now, HOUR_S), _Wanted(self._inspector, query)
        query.check()
        columns = _Columns(by, period)
        for queue, grown in wanted.read(period, now).items():
            for at_s, growth in grown.items():
                columns.add(queue, at_s, wanted.part(growth))
        resp.data = msgspec.json.encode(
            shapes.Timeseries(
                from_=second(period.from_s * 1000),
                to=second(period.to_s * 1000),
                step_s=period.step_s,
                by=str(by),
                times=[second(at_s * 1000) for at_s in range(period.from_s, period.to_s, period.step_s)],
                series=columns.series(),
            )
        )

    on_head = on_get


class Analytics:
    """GET /analytics."""

    def __init__(self, context: ApiContext) -> None:
        self._inspector = context.inspector

    @describe(
        Operation(
            id="get_analytics",
            tag="stats",
            summary="Read how many tasks, how they ended, and how long they ran",
            takes=[FROM, TO],
            answers=[Answer(status=200, description="The numbers.", shapes=json(shapes.Analytics))],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """How many tasks were accepted in a period, of the last day without `from`; how many ended in it, by status, and,
        if it lasts until now, how many wait or run; and how long those that completed ran on average, 0 without any."""
        now, query = Now(self._inspector.now_ms()), Query(req)
        period, wanted = read_total(query, now, DAY_S), _Wanted(self._inspector, query)
        query.check()
        total = _total(growth for grown in wanted.read(period, now).values() for growth in grown.values())
        counts = dict.fromkeys(Status, 0) | _ended(total)
        if period.until_now:
            for queue in wanted.queues:
                for status, number in self._inspector.state(queue).counts.items():
                    counts[status] += 0 if status.final else number
        resp.data = msgspec.json.encode(
            shapes.Analytics(
                total_tasks=total.sum("enqueued"),
                status_counts=counts,
                avg_duration_seconds=round(total.mean_s("completed") or 0, 6),
            )
        )

    on_head = on_get


class _Wanted:
    """Of which queues and which type something is asked for."""

    def __init__(self, inspector: Inspector, query: Query) -> None:
        self._inspector = inspector
        self._query = query
        queue = query.read(ONLY_QUEUE, name, None)
        self._type = query.read(ONLY_TYPE, name, None)
        self.queues = [known for known in inspector.queue_names() if queue in (None, known)]

    def read(self, period: Period, now: Now) -> dict[str, dict[int, Growth]]:
        """What happened in the period, by queue. Raises ApiError for one that is too much to read."""
        most = MOST_READ // max(1, len(self.queues))
        if period.hours_and_minutes > most:
            self._query.fault(
                FROM, f"expected at most {most} minutes of {len(self.queues)} queues; name one, or take steps of hours"
            )
            self._query.check()
        return {queue: history.growth(self._inspector, queue, period.slices, now) for queue in self.queues}

    def part(self, growth: Growth) -> Growth:
        """What of it is of the type."""
        return growth if self._type is None else growth.only(self._type)


class _Columns:
    """The series of a chart while they are put together: of each what happened in each step."""

    def __init__(self, by: By, period: Period) -> None:
        self._by = by
        self._period = period
        self._cells: dict[str, dict[int, Growth]] = {}

    def add(self, queue: str, at_s: int, growth: Growth) -> None:
        """Something that happened in a queue in the minute or hour that began then."""
        point = (at_s - self._period.from_s) // self._period.step_s
        for (event, type_), count in growth.counts.items():
            key = {By.OUTCOME: event, By.QUEUE: queue, By.TYPE: type_ or OTHER}[self._by]
            if self._by is By.OUTCOME or event in OUTCOMES.values():
                cell = self._cells.setdefault(key, {}).setdefault(point, Growth())
                cell.counts[event, ""] += count
                cell.ms[event, ""] += growth.ms[event, type_]

    def series(self) -> list[shapes.Series]:
        """Those that have anything: outcomes in their order, others from the one with the most."""
        if self._by is By.OUTCOME:
            return [self._one(key, [self._cells[key]]) for key in dict.fromkeys(NAMES.values()) if key in self._cells]
        most = sorted(
            self._cells, key=lambda key: (key == OTHER, -sum(_counted(cell) for cell in self._cells[key].values()), key)
        )
        named, rest = most[:MOST_SERIES], most[MOST_SERIES:]
        if rest and OTHER in named:
            named.remove(OTHER)
            rest.append(OTHER)
        found = [self._one(key, [self._cells[key]]) for key in named]
        return found + ([self._one(OTHER, [self._cells[key] for key in rest])] if rest else [])

    def _one(self, key: str, parts: Sequence[Mapping[int, Growth]]) -> shapes.Series:
        cells = [_total(part[point] for part in parts if point in part) for point in range(self._period.points)]
        means = [cell.mean_s(*TIMED) for cell in cells]
        return shapes.Series(
            name=key,
            counts=[_counted(cell) for cell in cells],
            mean_s=[None if mean is None else round(mean, 6) for mean in means],
        )


def _counted(growth: Growth) -> int:
    return sum(growth.counts.values())


def _total(growths: Iterable[Growth]) -> Growth:
    total = Growth()
    for growth in growths:
        total.add(growth)
    return total


def _ended(total: Growth) -> dict[Status, int]:
    return {status: total.sum(*names) for status, names in ENDS.items()}


def _totals(total: Growth, period: Period | None) -> shapes.Stats:
    mean_s = total.mean_s(*TIMED)
    return shapes.Stats(
        from_=UNSET if period is None else second(period.from_s * 1000),
        to=UNSET if period is None else second(period.to_s * 1000),
        enqueued=total.sum("enqueued"),
        ended=_ended(total),
        attempts={outcome: total.sum(outcome) for outcome in OUTCOMES.values()},
        mean_s=_given(None if mean_s is None else round(mean_s, 6)),
    )


def _given(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value


def _by(value: str) -> By:
    if value in By.__members__.values():
        return By(value)
    raise ValueError(f"expected one of {', '.join(By)}, got {shown(value)}")
