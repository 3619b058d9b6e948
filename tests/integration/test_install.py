"""Install: a schedule goes on where it was, or begins now."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Firing, Schedules
from taskq.schedule import task_id
from tests.integration.steps import now_ms, schedule


@pytest.fixture
def schedules(inspector: Inspector) -> Schedules:
    return Schedules(inspector)


def set_back(queue: Queue, name: str, tick_ms: int) -> None:
    """Let the last tick have been long ago."""
    queue.link.redis.hset(queue.keys.schedule(name), "tick", tick_ms)


def test_a_new_schedule_begins_now(queue: Queue, schedules: Schedules) -> None:
    assert abs(schedules.install(schedule()) - now_ms(queue)) < 5_000


def test_a_known_one_goes_on_after_its_last_tick(queue: Queue, schedules: Schedules) -> None:
    schedules.install(schedule())
    set_back(queue, "nightly", 1_000_000)

    assert schedules.install(schedule(payload="7", catch_up="last")) == 1_000_000


@pytest.mark.parametrize("change", [{"cron": "0 3 * * *"}, {"timezone": "Europe/Berlin"}, {"enabled": False}])
def test_with_another_line_it_begins_now(queue: Queue, schedules: Schedules, change: dict[str, Any]) -> None:
    schedules.install(schedule())
    set_back(queue, "nightly", 1_000_000)

    assert abs(schedules.install(schedule(**change)) - now_ms(queue)) < 5_000


def test_an_enabled_one_does_not_catch_up_on_the_time_in_which_it_was_disabled(queue: Queue, schedules: Schedules) -> None:
    schedules.install(schedule(enabled=False))
    set_back(queue, "nightly", 1_000_000)

    assert abs(schedules.install(schedule()) - now_ms(queue)) < 5_000


def test_a_tick_that_lies_ahead_is_never_taken_back(queue: Queue, schedules: Schedules) -> None:
    ahead = now_ms(queue) + 600_000
    schedules.install(schedule())
    set_back(queue, "nightly", ahead)

    assert schedules.install(schedule(cron="0 3 * * *")) == ahead


def test_one_that_has_moved_to_another_queue_goes_on_as_it_was(
    queue: Queue, inspector: Inspector, schedules: Schedules
) -> None:
    before, after = schedule(), schedule(queue="elsewhere")
    schedules.install(before)
    schedules.publish([before], forget=False)
    set_back(queue, "nightly", 999_999)
    schedules.fire(before, 1_000_000, before.task(task_id(schedules.prefix, before.name, 1_000_000)))
    since_ms = schedules.pause(before, "deploy")

    assert schedules.install(after) == 1_000_000

    schedules.publish([after], forget=False)
    known = schedules.get("nightly")
    assert known is not None
    assert known.schedule.queue == "elsewhere"
    assert known.paused == (since_ms, "deploy")
    assert known.last_run is not None
    assert queue.link.redis.exists(queue.keys.schedule("nightly")) == 0


def test_one_that_has_moved_and_fired_since_is_not_taken_back(queue: Queue, schedules: Schedules) -> None:
    before, after = schedule(), schedule(queue="elsewhere")
    schedules.install(before)
    set_back(queue, "nightly", 1_000_000)
    schedules.publish([before], forget=False)
    schedules.install(after)
    assert schedules.fire(after, 2_000_000, after.task("00000000-0000-0000-0000-000000000001")) is Firing.FIRED
    schedules.install(before)  # another machine, which still has the old configuration
    set_back(queue, "nightly", 1_500_000)

    assert schedules.install(after) == 2_000_000
