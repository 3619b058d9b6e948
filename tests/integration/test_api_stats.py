"""GET /stats, /stats/timeseries, /analytics, and the rates of a queue, against a real server."""

from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.api.views import millisecond
from taskq.queue.history import Now, fold
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.steps import DETAIL, enqueued, joined, now_ms, started


def get(api: TestClient, path: str, status: Any = 200, **params: Any) -> Any:
    answer = api.simulate_get(path, params=params)
    assert answer.status_code == status, answer.text
    return answer.json


@pytest.fixture
def lived(queue: Queue) -> Queue:
    """Two tasks were completed, one has failed, one was cancelled while it waited, and one waits; all of them just now."""
    me = joined(queue)
    for type_ in ("echo", "sum"):
        queue.complete(me, started(queue, me, type_=type_), b"1")
    queue.fail(me, started(queue, me), "boom", DETAIL)
    queue.cancel(enqueued(queue))
    enqueued(queue)
    return queue


def test_totals_since_the_beginning_and_of_a_period(api: TestClient, lived: Queue) -> None:
    ever, lately = get(api, "/stats"), get(api, "/stats", **{"from": moment(lived, -60_000)})

    assert ever["enqueued"] == 5
    assert ever["ended"] == {"completed": 2, "failed": 1, "cancelled": 1}
    assert {outcome: number for outcome, number in ever["attempts"].items() if number} == {"completed": 2, "failed": 1}
    assert {key: lately[key] for key in ever} == ever
    assert lately.keys() - ever.keys() == {"from", "to"}
    assert get(api, "/stats", type="sum")["enqueued"] == 1
    assert get(api, "/stats", queue="other")["enqueued"] == 0
    assert get(api, "/stats", to=moment(lived, -3_600_000))["enqueued"] == 0


def moment(queue: Queue, after_ms: int) -> str:
    return millisecond(now_ms(queue) + after_ms)


def test_a_chart_has_a_number_of_each_series_for_each_step(api: TestClient, lived: Queue) -> None:
    chart = get(api, "/stats/timeseries")

    assert (chart["step_s"], chart["by"], len(chart["times"])) == (60, "outcome", 61)
    assert (chart["times"][0], chart["times"][-1] < chart["to"]) == (chart["from"], True)
    assert {each["name"]: sum(each["counts"]) for each in chart["series"]} == {
        "completed": 2, "failed": 1, "enqueued": 5, "withdrawn": 1,
    }  # fmt: skip
    for each in chart["series"]:
        assert len(each["counts"]) == len(each["mean_s"]) == 61
        assert [mean is not None for mean in each["mean_s"]] == [
            count > 0 and each["name"] in ("completed", "failed") for count in each["counts"]
        ]


def test_a_chart_by_type_or_queue_tells_the_attempts_that_ended(api: TestClient, lived: Queue) -> None:
    def sums(**params: str) -> dict[str, int]:
        return {each["name"]: sum(each["counts"]) for each in get(api, "/stats/timeseries", **params)["series"]}

    assert sums(by="type") == {"echo": 2, "sum": 1}
    assert sums(by="queue") == {"default": 3}
    assert sums(by="queue", type="sum") == {"default": 1}
    assert sums(by="type", queue="other") == {}


def test_a_chart_names_the_types_with_the_most_and_counts_the_others_as_one(api: TestClient, queue: Queue) -> None:
    queue.announce()
    counters: Any = {f"complete:1.1:type-{number:03}": number + 1 for number in range(70)}
    queue.link.redis.hset(queue.keys.stats, mapping=counters | {"complete:1.1:": 1000})

    series = get(api, "/stats/timeseries", by="type")["series"]

    assert [each["name"] for each in series[:2]] == ["type-069", "type-068"]
    assert (len(series), series[-1]["name"]) == (51, "other")
    assert sum(sum(each["counts"]) for each in series) == sum(range(71)) + 1000


def test_a_chart_is_the_same_after_the_minute_is_over(api: TestClient, lived: Queue) -> None:
    now = Now(now_ms(lived))
    before = get(api, "/stats/timeseries", step="1h")["series"], get(api, "/stats"), get(api, "/analytics")
    lived.link.redis.set(f"{lived.keys.stats}:minute", now.minute - 1)
    fold(lived)

    after = get(api, "/stats/timeseries", step="1h")["series"], get(api, "/stats"), get(api, "/analytics")

    def summed(series: Any) -> dict[str, int]:
        return {each["name"]: sum(each["counts"]) for each in series}

    assert summed(after[0]) == summed(before[0])
    assert after[1:] == before[1:]


def test_analytics_tell_what_the_original_service_told(api: TestClient, lived: Queue) -> None:
    def counts(**there: int) -> dict[str, int]:
        names = ("scheduled", "pending", "processing", "completed", "failed", "cancelled")
        return dict.fromkeys(names, 0) | there

    lately, before = get(api, "/analytics"), get(api, "/analytics", to=moment(lived, -3_600_000))

    assert lately.keys() == {"total_tasks", "status_counts", "avg_duration_seconds"}
    assert lately["total_tasks"] == 5
    assert lately["status_counts"] == counts(pending=1, completed=2, failed=1, cancelled=1)
    assert 0 <= lately["avg_duration_seconds"] < 60
    assert before == {"total_tasks": 0, "status_counts": counts(), "avg_duration_seconds": 0}


def test_a_queue_shows_its_rates(api: TestClient, lived: Queue) -> None:
    shown, (listed,) = get(api, "/queues/default"), get(api, "/queues")

    for rates in (shown["rates"], listed["rates"]):
        assert 0 < rates["out"] < rates["in"] <= round(5 / 300, 3)


@pytest.mark.parametrize("path", ["/stats", "/stats/timeseries", "/analytics"])
@pytest.mark.parametrize(
    "params",
    [
        {"from": "x"},
        {"from": ""},
        {"to": "9999-12-31T23:59:60Z"},
        {"from": "0001-01-01T00:00:00Z"},
        {"from": "9999-12-31T23:59:59Z"},
        {"to": "0001-01-01T00:00:00Z"},
        {"from": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]},
    ],
)
def test_a_range_that_is_none_is_a_422(api: TestClient, path: str, params: dict[str, Any]) -> None:
    problem = get(api, path, 422, **params)

    assert problem["code"] == "invalid_query"
    assert problem["error"].startswith(f"invalid {'to' if 'to' in params else 'from'}: expected ")


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"by": "colour"}, "invalid by: expected one of outcome, queue, type, got 'colour'"),
        ({"step": "7s"}, "invalid step: expected a multiple of 1m, at most 30d, got '7s'"),
        ({"type": "a b"}, "invalid type: "),
        ({"queue": "ä"}, "invalid queue: "),
    ],
)
def test_a_chart_of_nothing_that_there_is_is_a_422(api: TestClient, params: dict[str, str], sentence: str) -> None:
    assert get(api, "/stats/timeseries", 422, **params)["error"].startswith(sentence)


def test_what_is_too_much_to_read_is_refused(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    for number in range(40):
        inspector.queue(f"queue-{number}").announce()
    day = {"from": moment(queue, -24 * 3_600_000)}

    assert "name one, or take steps of hours" in get(api, "/stats/timeseries", 422, step="1m", **day)["error"]
    get(api, "/stats/timeseries", step="1m", queue="queue-1", **day)
    get(api, "/stats/timeseries", step="1h", **day)
