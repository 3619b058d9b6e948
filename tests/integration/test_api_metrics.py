"""GET /metrics against a real server: what is told, in which format, and that it is well named."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from falcon.testing import TestClient
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.catalog import TypeInfo
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.steps import DETAIL, SETTLES, claim, enqueued, joined, started

SCRAPE_LIMIT_S = 30.0
TYPES = 1000


def scraped(api: TestClient) -> dict[str, Metric]:
    answer = api.simulate_get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Metric], name: str, family: str = "", **labels: str) -> float:
    """The value of the one sample of that name that has at least these labels."""
    samples = families[family or name.removesuffix("_total")].samples
    (found,) = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    return found


@pytest.fixture
def lived(queue: Queue) -> Queue:
    """Two tasks were completed, one has failed, one waits, and a worker is there."""
    me = joined(queue)
    for _ in range(2):
        queue.complete(me, started(queue, me), b"1")
    queue.fail(me, started(queue, me), "boom", DETAIL)
    enqueued(queue)
    return queue


def test_metrics_tell_depth_workers_and_outcomes(api: TestClient, lived: Queue) -> None:
    found = scraped(api)

    assert value(found, "taskq_queue_tasks", queue="default", status="pending") == 1
    assert value(found, "taskq_queue_tasks", queue="default", status="completed") == 2
    assert value(found, "taskq_workers", queue="default") == 1
    assert value(found, "taskq_attempts_total", type="echo", outcome="completed") == 2
    assert value(found, "taskq_attempts_total", type="echo", outcome="failed") == 1
    assert value(found, "taskq_enqueued_total", type="echo") == 4
    assert value(found, "taskq_wait_seconds_count", "taskq_wait_seconds", type="echo") == 3
    assert value(found, "taskq_dead_letters_total", type="echo", reason="failed") == 1
    assert value(found, "taskq_attempt_duration_seconds_count", "taskq_attempt_duration_seconds", type="echo") == 3
    assert value(found, "taskq_attempt_duration_seconds_bucket", "taskq_attempt_duration_seconds", le="+Inf") == 3
    assert value(found, "taskq_redis_persistent") == 0
    assert value(found, "taskq_build_info") == 1


def test_a_crash_is_one_attempt_in_every_metric(api: TestClient, queue: Queue) -> None:
    me = joined(queue)
    for _ in range(2):
        SETTLES["crash"](queue, me, started(queue, me))
        queue.cancel(claim(queue, me).id)

    found = scraped(api)
    assert value(found, "taskq_crashes_total", type="echo") == 2
    assert value(found, "taskq_attempts_total", type="echo", outcome="crashed") == 2
    assert value(found, "taskq_attempts_total", type="echo", outcome="cancelled") == 2
    assert value(found, "taskq_attempt_duration_seconds_count", "taskq_attempt_duration_seconds", type="echo") == 4


def test_a_type_shows_how_often_and_how_long_it_ran(lived: Queue, prefix: str) -> None:
    inspector = Inspector(lived.link, prefix=prefix)
    own = {"echo": TypeInfo()}
    client = TestClient(create_app(ApiContext(inspector=inspector, own_types=own)))

    (listed,) = client.simulate_get("/types").json
    shown = client.simulate_get("/types/echo").json

    assert listed["attempts"] == shown["attempts"] == {"completed": 2, "failed": 1}
    assert set(shown["durations"]) == {"mean_s", "p50_s", "p95_s"}


def test_counters_stay_when_the_tasks_are_gone(api: TestClient, lived: Queue) -> None:
    for task in Inspector(lived.link, prefix=lived.keys.prefix).page(limit=10).tasks:
        lived.delete(task.id)

    found = scraped(api)
    assert value(found, "taskq_queue_tasks", status="completed") == 0
    assert value(found, "taskq_attempts_total", outcome="completed") == 2


def test_openmetrics_is_answered_to_those_who_ask_for_it(api: TestClient, lived: Queue) -> None:
    answer = api.simulate_get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert "taskq_attempts" in {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]


def test_every_metric_is_named_by_the_rules_and_explained(api: TestClient, lived: Queue) -> None:
    for name, family in scraped(api).items():
        assert re.fullmatch(r"taskq(_[a-z]+)+", name), name
        assert family.documentation.endswith("."), name
        assert family.type != "untyped", name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|count|bucket|sum)$", name), name
        if family.type == "counter":
            assert all(sample.name == f"{name}_total" for sample in family.samples), name
        else:
            assert not name.endswith("_total"), name


def test_a_scrape_of_a_thousand_types_is_bounded(api: TestClient, queue: Queue) -> None:
    queue.announce()
    fields: Any = {
        f"{event}:{part}:type-{number}": 7
        for number in range(TYPES)
        for event in ("complete", "fail")
        for part in ("1.1", "5.9", "9.2", "ms")
    }
    queue.link.redis.hset(queue.keys.stats, mapping=fields)

    began = time.monotonic()
    found = scraped(api)

    assert time.monotonic() - began < SCRAPE_LIMIT_S
    assert len(found["taskq_attempts"].samples) == 2 * TYPES
