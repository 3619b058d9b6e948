from __future__ import annotations

from datetime import UTC, datetime

import pytest
from falcon.testing import create_req
from hypothesis import given
from hypothesis import strategies as st

from taskq.api.errors import ApiError
from taskq.api.periods import MOST_POINTS, Period, read_steps, read_total
from taskq.api.query import Query
from taskq.queue.history import HOUR_S, MINUTE_S, Now, Slice

NOW = Now(1_770_000_030_000)  # 2026-02-02T02:40:30Z
DAY_S = 86_400


def total(query: str = "") -> Period:
    asked = Query(create_req(query_string=query))
    period = read_total(asked, NOW, DAY_S)
    asked.check()
    return period


def steps(query: str = "") -> Period:
    asked = Query(create_req(query_string=query))
    period = read_steps(asked, NOW, HOUR_S)
    asked.check()
    return period


def covered(period: Period) -> list[int]:
    """The minutes that the slices have, in order."""
    return [
        minute
        for unit_s, first, end in period.slices
        for minute in range(first * unit_s // MINUTE_S, end * unit_s // MINUTE_S)
    ]


def test_without_a_beginning_it_is_the_usual_time_until_now() -> None:
    assert (steps().from_s, steps().to_s, steps().until_now) == (1_769_996_400, 1_770_000_060, True)
    assert total().to_s - total().from_s == DAY_S + MINUTE_S


def test_the_minutes_of_beginning_and_end_count_as_a_whole() -> None:
    period = total("from=2026-02-02T01:10:59Z&to=2026-02-02T01:20:01Z")

    assert (period.from_s % DAY_S, period.to_s % DAY_S, period.until_now) == (4200, 4860, False)
    assert period.hours_and_minutes == 11


def test_whole_hours_are_read_as_such() -> None:
    period = total("from=2026-02-01T20:58:00Z&to=2026-02-02T01:03:00Z")

    hour = 1_769_997_600 // HOUR_S  # 02:00
    assert period.slices == (
        Slice(MINUTE_S, hour * 60 - 302, hour * 60 - 300),
        Slice(HOUR_S, hour - 5, hour - 1),
        Slice(MINUTE_S, hour * 60 - 60, hour * 60 - 57),
    )


def test_beyond_a_day_it_is_whole_hours() -> None:
    period = total("from=2026-01-20T10:31:00Z&to=2026-01-20T12:31:00Z")

    assert (period.from_s % DAY_S, period.to_s % DAY_S) == (10 * HOUR_S, 13 * HOUR_S)
    assert [each for each in period.slices if each.end > each.first] == [
        Slice(HOUR_S, period.from_s // HOUR_S, period.to_s // HOUR_S)
    ]


@given(start=st.integers(1, 30 * DAY_S), length=st.integers(1, 30 * DAY_S))
def test_what_is_read_is_the_period_without_gap_or_overlap(start: int, length: int) -> None:
    asked = Query(create_req(query_string=f"from={moment(start)}&to={moment(max(0, start - length))}"))
    for period in (read_total(asked, NOW, DAY_S), read_steps(asked, NOW, DAY_S)):
        asked.check()
        assert covered(period) == list(range(period.from_s // MINUTE_S, period.to_s // MINUTE_S))
        assert period.from_s <= NOW.ms // 1000 - start <= period.to_s
        assert 1 <= period.points <= MOST_POINTS
        assert period.hours_and_minutes < 60 * 24 + 60 + 24 * 31


def moment(ago_s: int) -> str:
    return f"{datetime.fromtimestamp(NOW.ms / 1000 - ago_s, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def test_points_begin_at_multiples_of_their_step() -> None:
    period = steps("from=2026-02-02T01:07:00Z&to=2026-02-02T01:28:00Z&step=10m")

    assert (period.from_s % HOUR_S, period.points, period.step_s) == (0, 3, 600)


def test_a_step_is_chosen_that_gives_a_usual_number_of_points() -> None:
    assert steps().step_s == 60
    assert steps("from=2026-02-01T03:00:00Z").step_s == 300
    assert steps("from=2026-01-10T00:00:00Z").step_s == 3 * HOUR_S
    assert steps("from=2026-01-31T22:00:00Z").step_s == HOUR_S


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=yesterday", "invalid from: expected an RFC 3339 moment such as \"2026-02-01T10:53:32Z\", got 'yesterday'"),
        ("from=2025-12-31T00:00:00Z", "invalid from: expected a moment in the last 30 days, for which hours are kept, got "),
        ("from=0001-01-01T00:00:00Z", "invalid from: expected a moment in the last 30 days, for which hours are kept, got "),
        ("from=2026-02-03T00:00:00Z", "invalid from: expected a moment in the past, got '2026-02-03T00:00:00Z'"),
        (
            "from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z",
            "invalid to: expected a moment after from, 2026-02-02T00:00:00Z",
        ),
        (
            "from=2026-02-02T00:00:00Z&to=2026-02-02T00:00:00Z",
            "invalid to: expected a moment after from, 2026-02-02T00:00:00Z",
        ),
        ("to=0001-01-01T00:00:00Z", "invalid to: expected a moment after from, 2026-01-03T"),
        ("to=soon", "invalid to: expected an RFC 3339 moment"),
    ],
)
def test_a_period_that_is_none_is_refused_in_a_sentence(query: str, sentence: str) -> None:
    for read in (total, steps):
        with pytest.raises(ApiError) as caught:
            read(query)
        assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("step=90s", "invalid step: expected a multiple of 1m, at most 30d, got '90s'"),
        ("step=0", "invalid step: "),
        ("step=-1m", "invalid step: "),
        ("step=31d", "invalid step: expected a multiple of 1m, at most 30d, got '31d'"),
        ("step=x", "invalid step: "),
        (
            "step=30m&from=2026-01-20T10:00:00Z",
            "invalid step: expected a multiple of 1h, at most 30d for a period that begins more than a day ago, "
            "of which only hours are kept, got '30m'",
        ),
    ],
)
def test_a_step_that_is_none_is_refused_in_a_sentence(query: str, sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        steps(query)
    assert str(caught.value).startswith(sentence)
