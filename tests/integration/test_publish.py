"""Publish: every machine's schedules are known to all, and forgotten once no machine has them."""

from __future__ import annotations

import pytest

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import FORGET_S, Schedules
from tests.integration.steps import now_ms, schedule


@pytest.fixture
def schedules(inspector: Inspector) -> Schedules:
    return Schedules(inspector)


def unseen(queue: Queue, name: str, for_s: float) -> None:
    """Let nobody have published a schedule for some time."""
    queue.link.redis.zadd(queue.keys.seen, {name: now_ms(queue) - for_s * 1000})


def test_what_machines_publish_is_known_by_name(schedules: Schedules) -> None:
    one, two = schedule("b", payload='{"a":"ü"}'), schedule("a", queue="elsewhere", enabled=False)

    schedules.publish([one], forget=False)
    schedules.publish([two], forget=False)

    assert [state.schedule for state in schedules.all()] == [two, one]
    assert schedules.get("b") is not None
    assert schedules.get("c") is None


def test_the_last_definition_counts(schedules: Schedules) -> None:
    schedules.publish([schedule(cron="0 1 * * *")], forget=False)
    schedules.publish([schedule(cron="0 2 * * *")], forget=False)

    assert [state.schedule.cron for state in schedules.all()] == ["0 2 * * *"]


def test_one_that_no_machine_has_any_more_is_forgotten(queue: Queue, schedules: Schedules) -> None:
    schedules.publish([schedule("old"), schedule("kept")], forget=False)
    unseen(queue, "old", FORGET_S + 1)

    assert schedules.publish([schedule("kept")], forget=True) == ["old"]

    assert [state.schedule.name for state in schedules.all()] == ["kept"]


def test_one_that_is_still_published_is_kept_and_so_is_all_without_leave_to_forget(
    queue: Queue, schedules: Schedules
) -> None:
    schedules.publish([schedule("a"), schedule("b")], forget=False)
    unseen(queue, "a", FORGET_S - 5)
    assert schedules.publish([], forget=True) == []
    unseen(queue, "a", 10 * FORGET_S)
    unseen(queue, "b", 10 * FORGET_S)
    assert schedules.publish([], forget=False) == []

    assert schedules.publish([schedule("a")], forget=True) == ["b"]


def test_a_definition_of_another_version_is_passed_over(queue: Queue, schedules: Schedules) -> None:
    schedules.publish([schedule("mine")], forget=False)
    queue.link.redis.hset(queue.keys.schedules, "theirs", '{"name": "theirs", "moons": 2}')
    queue.link.redis.hset(queue.keys.schedules, "broken", "{")

    assert [state.schedule.name for state in schedules.all()] == ["mine"]
    assert schedules.get("theirs") is None
