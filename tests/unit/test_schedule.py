"""When schedules tick: compared with cronsim's own ticks, over simulated days and across changes of the clocks."""

from __future__ import annotations

import bisect
import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from taskq.schedule import (
    LATE_MS,
    CatchUp,
    Line,
    check_cron,
    check_timezone,
    due_ticks,
    last_tick,
    missed_tick,
    next_tick,
    task_id,
    ticks,
    time_zones,
)

LINES = (
    "* * * * *",
    "*/7 * * * *",
    "0 */2 * * *",
    "0 0 * * *",
    "30 2 * * *",
    "15,45 1-3 * * *",
    "5 0 * * SUN",
    "30 * * * *",
    "15 2 * * *",
    "0 30 1 * * *",
    "30 30 2 * * *",
)
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
"""Clocks in Berlin are put forward the night after, from 2 to 3."""
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""Clocks in Berlin are put back the night after, from 3 to 2."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def at(text: str) -> int:
    return ms(datetime.fromisoformat(text))


def moments(line: Line, start: datetime, days: float) -> list[str]:
    """The ticks as the clocks on the wall show them."""
    zone = ZoneInfo(line.timezone)
    found = itertools.takewhile(lambda tick: tick <= ms(start + timedelta(days=days)), ticks(line, ms(start)))
    return [datetime.fromtimestamp(tick / 1000, zone).isoformat() for tick in found]


def of_cronsim(line: Line, start: datetime, days: float) -> list[int]:
    """The ticks of one long run of cronsim."""
    found: list[int] = []
    for tick in CronSim(line.cron, start.astimezone(ZoneInfo(line.timezone))):
        if tick > start + timedelta(days=days):
            return found
        found.append(ms(tick))
    return found


def simulated(line: Line, start: datetime, days: float, every_ms: int, catch_up: CatchUp = CatchUp.NONE) -> list[int]:
    """What a machine fires that looks at the clock every so often."""
    fired: list[int] = []
    last_ms, next_ms = ms(start), next_tick(line, ms(start))
    for now_ms in range(ms(start), ms(start + timedelta(days=days)) + every_ms, every_ms):
        if next_ms is not None and next_ms <= now_ms:
            fired += due_ticks(line, last_ms, now_ms, catch_up)
            last_ms, next_ms = now_ms, next_tick(line, now_ms)
    return [tick for tick in fired if tick <= ms(start + timedelta(days=days))]


def changes(zone: str) -> list[datetime]:
    """The moments of a year at which the clocks of a zone are put forward or back."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(2 * 24 * 365)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hours[at] for at in range(1, len(hours)) if offsets[at] != offsets[at - 1]]


CHANGES = [
    (zone, change)
    for zone in (
        "Europe/Berlin",
        "America/Havana",  # at midnight, forward
        "America/Santiago",  # at midnight, back
        "Africa/Cairo",  # at midnight, both
        "Africa/Casablanca",  # back and forward around Ramadan
        "Australia/Lord_Howe",  # by half an hour
        "Antarctica/Troll",  # by two hours
    )
    for change in changes(zone)
]


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=[f"{zone}-{change:%m-%d}" for zone, change in CHANGES])
@pytest.mark.parametrize("cron", LINES)
def test_a_machine_that_looks_often_fires_exactly_the_ticks_of_cronsim(cron: str, zone: str, change: datetime) -> None:
    line = Line(cron, zone)
    start = change - timedelta(hours=30)

    assert simulated(line, start, 2, 29_000) == of_cronsim(line, start, 2)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("cron", LINES)
def test_so_it_does_where_clocks_never_change(cron: str, zone: str) -> None:
    line = Line(cron, zone)

    assert simulated(line, SPRING, 2, 29_000) == of_cronsim(line, SPRING, 2)


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 */6 * * *", "0 0 1 * *", "0 0 * * MON#1"])
def test_a_year_in_berlin_is_a_year_of_cronsim(cron: str) -> None:
    line = Line(cron, "Europe/Berlin")
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert simulated(line, start, 365, LATE_MS - 1) == of_cronsim(line, start, 365)


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=[f"{zone}-{change:%m-%d}" for zone, change in CHANGES])
@pytest.mark.parametrize("cron", LINES)
def test_the_next_and_the_last_tick_do_not_depend_on_where_one_begins(cron: str, zone: str, change: datetime) -> None:
    line = Line(cron, zone)
    around = 9 if "SUN" in cron else 2
    all_ticks = of_cronsim(line, change - timedelta(days=around), 2 * around)

    for now_ms in range(ms(change) - 4 * HOUR_MS, ms(change) + 6 * HOUR_MS, 13 * MINUTE_MS + 1):
        place = bisect.bisect_right(all_ticks, now_ms)
        assert next_tick(line, now_ms) == all_ticks[place]
        assert last_tick(line, now_ms) == all_ticks[place - 1]


def test_a_tick_that_half_an_hour_has_swallowed_is_not_caught_up_on() -> None:
    line = Line("30 * * * *", "Australia/Lord_Howe")

    assert moments(line, datetime(2026, 4, 4, 13, 45, tzinfo=UTC), 0.1) == [
        "2026-04-05T01:30:00+11:00",
        "2026-04-05T02:30:00+10:30",
    ]
    assert due_ticks(line, at("2026-04-05T01:30:00+11:00"), at("2026-04-05T02:10:00+10:30"), CatchUp.LAST) == []


def test_a_fixed_time_in_a_skipped_hour_runs_right_after_it() -> None:
    assert moments(Line("30 2 * * *", "Europe/Berlin"), SPRING, 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_fixed_time_in_a_repeated_hour_runs_once() -> None:
    assert moments(Line("30 2 * * *", "Europe/Berlin"), AUTUMN, 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_line_for_every_hour_follows_the_clock_as_it_is() -> None:
    assert moments(Line("0 * * * *", "Europe/Berlin"), SPRING + timedelta(hours=11.5), 0.1) == [
        "2026-03-29T01:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
    ]
    assert moments(Line("0 * * * *", "Europe/Berlin"), AUTUMN + timedelta(hours=10.5), 0.15) == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_a_tick_is_due_at_its_moment_and_not_before() -> None:
    line = Line("0 3 * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick - HOUR_MS, tick - 1, CatchUp.NONE) == []
    assert due_ticks(line, tick - HOUR_MS, tick, CatchUp.NONE) == [tick]


def test_a_tick_that_was_dealt_with_is_not_due_again() -> None:
    line = Line("0 3 * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick, tick + 1, CatchUp.NONE) == []
    assert due_ticks(line, tick, tick + DAY_MS // 2, CatchUp.LAST) == []


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_restart_of_less_than_a_minute_drops_no_tick(catch_up: CatchUp) -> None:
    line = Line("*/20 * * * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick, tick + 59_000, catch_up) == [tick + 20_000, tick + 40_000]


def test_ticks_that_are_late_are_dropped() -> None:
    line = Line("0 3 * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick - DAY_MS, tick + LATE_MS - 1, CatchUp.NONE) == [tick]
    assert due_ticks(line, tick - DAY_MS, tick + LATE_MS, CatchUp.NONE) == []
    assert missed_tick(line, tick - DAY_MS, tick + LATE_MS) == tick
    assert missed_tick(line, tick, tick + LATE_MS) is None


def test_the_last_tick_of_an_outage_is_caught_up_on_once() -> None:
    line = Line("0 3 * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick - 10 * DAY_MS, tick + HOUR_MS, CatchUp.LAST) == [tick]
    assert due_ticks(line, tick + HOUR_MS, tick + 2 * HOUR_MS, CatchUp.LAST) == []


def test_a_tick_on_time_stands_for_those_that_were_missed() -> None:
    line = Line("*/10 * * * *", "UTC")
    tick = at("2026-02-01T03:00:00Z")

    assert due_ticks(line, tick - DAY_MS, tick + 5_000, CatchUp.LAST) == [tick]


def test_an_outage_across_a_change_of_the_clocks_is_caught_up_on_at_the_right_tick() -> None:
    line = Line("30 2 * * *", "Europe/Berlin")

    for now in ("2026-10-25T02:40:00+01:00", "2026-10-25T02:10:00+01:00", "2026-10-25T12:00:00+01:00"):
        assert due_ticks(line, at("2026-10-24T12:00:00+02:00"), at(now), CatchUp.LAST) == [at("2026-10-25T02:30:00+02:00")]
    assert due_ticks(line, at("2026-03-28T12:00:00+01:00"), at("2026-03-29T12:00:00+02:00"), CatchUp.LAST) == [
        at("2026-03-29T03:00:00+02:00")
    ]


def test_machines_that_look_at_different_moments_find_the_same_ticks() -> None:
    line = Line("*/5 1-4 * * *", "America/New_York")

    found = [simulated(line, AUTUMN + timedelta(days=7), 1, every_ms) for every_ms in (200, 7_919, 59_999)]

    assert found[0] == found[1] == found[2] != []


def test_a_line_that_has_no_tick_left_has_none() -> None:
    assert next_tick(Line("0 0 * 2 MON#5", "UTC"), at("2026-01-01T00:00:00Z")) == at("2044-02-29T00:00:00Z")
    assert next(ticks(Line("* * */20 * 1L", "UTC"), at("2026-01-01T00:00:00Z")), None) is None
    assert last_tick(Line("* * */20 * 1L", "UTC"), at("2026-01-01T00:00:00Z")) is None


# -- what a line and a zone may be


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "wrong number of fields"),
        ("* * * *", "wrong number of fields"),
        ("* * * * * * *", "wrong number of fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 * * MON-", "bad day-of-week"),
        ("@daily", "wrong number of fields"),
        ("* * */20 * 1L", "it is never true within 50 years"),
    ],
)
def test_a_line_that_never_ticks_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        check_cron(text)


def test_a_line_with_seconds_ticks_as_cronsim_does() -> None:
    line = Line("*/20 0-9/3 * * * *", "Europe/Berlin")

    assert simulated(line, AUTUMN + timedelta(hours=10), 0.2, 7_000) == of_cronsim(line, AUTUMN + timedelta(hours=10), 0.2)


@pytest.mark.parametrize("text", [*LINES, "*/20 * * * * *", "0 0 29 2 *", "0 9 * * MON-FRI", "0 0 LW * *", "0 0 1 JAN *"])
def test_a_line_that_ticks_is_taken(text: str) -> None:
    assert check_cron(f" {text.replace(' ', '  ')} ") == text


@given(st.text(alphabet="0123456789*/,-L#W MONFEB²", max_size=30) | st.text(max_size=20))
def test_any_text_is_either_a_line_or_refused(text: str) -> None:
    try:
        line = Line(check_cron(text), "UTC")
    except ValueError:
        return  # whatever else it raises fails the test

    assert next_tick(line, at("2024-01-01T00:00:00Z")) is not None


@pytest.mark.parametrize(
    "name", ["", "Berlin", "europe/berlin", "../UTC", "/etc/passwd", "a\0b", "localtime", "posix/UTC", "x" * 300]
)
def test_a_name_that_is_no_iana_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown time zone$"):
        check_timezone(name)


def test_every_zone_of_this_machine_is_taken() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York"} <= set(time_zones())
    assert [check_timezone(name) for name in time_zones()] == list(time_zones())


def test_the_id_of_a_tick_is_a_uuid_that_depends_on_prefix_name_and_tick_alone() -> None:
    assert task_id("taskq", "nightly", 1000) == "5fd0072f-a30a-5852-a0e0-47e24834cc3c"
    assert len({task_id(p, n, t) for p in "ab" for n in "ab" for t in (1, 2)}) == 8
