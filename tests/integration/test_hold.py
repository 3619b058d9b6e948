"""Hold and unhold: the pause of a schedule."""

from __future__ import annotations

import pytest

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Schedules
from tests.integration.steps import now_ms, schedule, snapshot


@pytest.fixture
def schedules(inspector: Inspector) -> Schedules:
    return Schedules(inspector)


def test_a_repeated_pause_keeps_the_moment_and_takes_the_new_reason(schedules: Schedules) -> None:
    each = schedule()
    schedules.publish([each], forget=False)

    since = schedules.pause(each, "deploy")

    assert schedules.pause(each, "longer deploy") == since
    known = schedules.get(each.name)
    assert known is not None
    assert known.paused == (since, "longer deploy")


def test_a_resumed_schedule_ticks_from_now_on(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    schedules.install(each)
    schedules.pause(each)
    queue.link.redis.hset(queue.keys.schedule(each.name), "tick", 1_000_000)

    assert schedules.resume(each)

    assert abs(schedules.install(each) - now_ms(queue)) < 5_000


def test_a_resume_of_one_that_is_not_paused_changes_nothing(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    schedules.install(each)
    before = snapshot(queue)

    assert not schedules.resume(each)

    assert snapshot(queue) == before
