"""The timekeeper: what a machine fires as the clock goes on, alone and beside others, through outages and deaths."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from taskq.errors import QueueRefused
from taskq.maintenance.schedules import Timekeeper
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Schedules
from taskq.schedule import LATE_MS, CatchUp, Overlap, Schedule, task_id
from tests.integration.steps import claim, joined, members, schedule

START = round(datetime(2025, 10, 25, 12, tzinfo=UTC).timestamp() * 1000)
"""Clocks in Berlin were put back in the night after."""
HOUR = 3_600_000


class Simulated(Schedules):
    """Schedules on a clock that the test turns; it must stay behind the server's."""

    def __init__(self, inspector: Inspector, now: int = START) -> None:
        super().__init__(inspector)
        self.now = now

    def now_ms(self) -> int:
        return self.now


def begun(queue: Queue, each: Schedule, at_ms: int = START) -> None:
    """Let a schedule have begun at a moment of the past."""
    Schedules(Inspector(queue.link, prefix=queue.keys.prefix)).install(each)
    queue.link.redis.hset(queue.keys.schedule(each.name), "tick", at_ms)


def ids(queue: Queue, each: Schedule, end_ms: int, start_ms: int = START) -> set[str]:
    """The ids of the tasks of all ticks that cronsim names in a time."""
    zone = ZoneInfo(each.timezone)
    found = CronSim(each.cron, datetime.fromtimestamp(start_ms / 1000, zone))
    moments = (round(tick.timestamp() * 1000) for tick in found)
    return {
        task_id(queue.keys.prefix, each.name, tick_ms) for tick_ms in itertools.takewhile(lambda ms: ms <= end_ms, moments)
    }


@pytest.fixture
def links(redis_url: str) -> Iterator[list[Link]]:
    links = [Link(redis_url) for _ in range(4)]
    yield links
    for link in links:
        link.close()


@pytest.mark.parametrize("cron", ["*/5 * * * *", "30 2 * * *", "0 */3 * * *"])
def test_machines_that_die_and_return_at_random_fire_every_tick_once(
    prefix: str, queue: Queue, links: list[Link], cron: str
) -> None:
    each = schedule(cron=cron, timezone="Europe/Berlin")
    begun(queue, each)
    clocks = [Simulated(Inspector(link, prefix=prefix)) for link in links]
    machines = [Timekeeper(clock, [each]) for clock in clocks]

    for now in range(START, START + 32 * HOUR + 1, 29_000):
        alive = random.sample(range(4), random.randint(1, 4))  # in any order, one at least
        for number in range(4):
            clocks[number].now = now
            if number not in alive:
                machines[number] = Timekeeper(clocks[number], [each])  # it will be another process when it returns
        for number in alive:
            machines[number].fire()

    fired = members(queue, queue.keys.tasks)
    assert set(fired) == ids(queue, each, now)
    assert len(fired) == len(set(fired))


@pytest.mark.parametrize(("catch_up", "caught"), [(CatchUp.NONE, 0), (CatchUp.LAST, 1)])
def test_after_an_outage_the_last_missed_tick_is_fired_once_or_not_at_all(
    prefix: str, queue: Queue, links: list[Link], catch_up: CatchUp, caught: int
) -> None:
    each = schedule(cron="0 * * * *", catch_up=catch_up)
    begun(queue, each)
    now = START + 5 * HOUR + 30 * 60_000

    for link in links:
        Timekeeper(Simulated(Inspector(link, prefix=prefix), now), [each]).fire()

    last = task_id(prefix, each.name, START + 5 * HOUR)
    assert members(queue, queue.keys.tasks) == [last] * caught


def test_a_restart_within_a_minute_drops_no_tick(queue: Queue, inspector: Inspector) -> None:
    each = schedule(cron="0 * * * *")
    begun(queue, each)
    clock = Simulated(inspector, START + HOUR - 1000)
    Timekeeper(clock, [each]).fire()

    clock.now = START + HOUR + LATE_MS - 1
    Timekeeper(clock, [each]).fire()

    assert set(members(queue, queue.keys.tasks)) == ids(queue, each, START + HOUR)


def test_an_outage_of_redis_is_no_restart(queue: Queue, inspector: Inspector) -> None:
    each = schedule(cron="* * * * *", catch_up=CatchUp.LAST)
    begun(queue, each)
    clock = Simulated(inspector)
    keeper = Timekeeper(clock, [each])
    keeper.fire()

    clock.now = START + HOUR + 30_000  # it could not look for an hour
    keeper.fire()

    assert members(queue, queue.keys.tasks) == [task_id(queue.keys.prefix, each.name, START + HOUR)]


def test_a_schedule_that_must_not_overlap_fires_at_the_first_tick_after_the_end(queue: Queue, inspector: Inspector) -> None:
    each = schedule(cron="* * * * *", overlap=Overlap.SKIP)
    begun(queue, each)
    clock = Simulated(inspector)
    keeper = Timekeeper(clock, [each])
    worker = joined(queue)
    for minute in range(1, 6):
        clock.now = START + minute * 60_000
        keeper.fire()
        if minute == 3:
            attempt = claim(queue, worker)
            queue.complete(worker, attempt, b"1")

    assert set(members(queue, queue.keys.tasks)) == {
        task_id(queue.keys.prefix, each.name, START + minute * 60_000) for minute in (1, 4)
    }


def test_a_disabled_schedule_never_fires(queue: Queue, inspector: Inspector) -> None:
    each = schedule(enabled=False)
    begun(queue, each)
    clock = Simulated(inspector, START + HOUR)

    Timekeeper(clock, [each]).fire()

    assert members(queue, queue.keys.tasks) == []


def test_a_new_schedule_does_not_fire_for_ticks_before_it(queue: Queue, inspector: Inspector) -> None:
    keeper = Timekeeper(Schedules(inspector), [schedule(cron="0 0 1 1 *", catch_up=CatchUp.LAST)])

    keeper.fire()

    assert members(queue, queue.keys.tasks) == []


def test_the_clock_of_redis_decides(queue: Queue, inspector: Inspector) -> None:
    each = schedule(cron="* * * * * *")
    keeper = Timekeeper(Schedules(inspector), [each])
    keeper.fire()
    seconds, _ = queue.link.redis.time()
    queue.link.redis.hset(queue.keys.schedule(each.name), "tick", (seconds - 5) * 1000)
    keeper = Timekeeper(Schedules(inspector), [each])

    keeper.fire()

    ticks = {task_id(queue.keys.prefix, each.name, (seconds + n) * 1000) for n in range(-4, 1)}
    assert ticks <= set(members(queue, queue.keys.tasks))


def test_a_clock_that_runs_ahead_of_redis_fires_nothing_early_and_drops_nothing(queue: Queue, inspector: Inspector) -> None:
    each = schedule(cron="* * * * * *")
    clock = Simulated(inspector)
    keeper = Timekeeper(clock, [each])
    begun(queue, each, Schedules(inspector).now_ms())
    keeper.fire()
    entry = keeper.entries[0]
    tick_ms = entry.next_ms
    assert tick_ms is not None

    clock.now = tick_ms + 30_000
    queue.link.redis.hset(queue.keys.schedule(each.name), "tick", tick_ms - 1)
    entry.next_ms = entry.last_ms = tick_ms + 20_000
    keeper.fire()

    assert entry.last_ms == tick_ms + 20_000
    assert members(queue, queue.keys.tasks) == []


def test_one_schedule_that_cannot_be_fired_holds_up_no_other(queue: Queue, inspector: Inspector) -> None:
    broken, sound = schedule("broken", cron="0 * * * *"), schedule("sound", cron="0 * * * *")
    begun(queue, sound)
    queue.link.redis.set(queue.keys.schedule("broken"), "not a hash")
    keeper = Timekeeper(Simulated(inspector, START + HOUR), [broken, sound])

    with pytest.raises(QueueRefused):
        keeper.fire()

    assert set(members(queue, queue.keys.tasks)) == ids(queue, sound, START + HOUR)
    assert not keeper.fire()  # the broken one is left alone for a while


def test_what_is_installed_is_published(queue: Queue, inspector: Inspector) -> None:
    keeper = Timekeeper(Schedules(inspector), [schedule("a"), schedule("b")])

    keeper.publish()
    assert Schedules(inspector).all() == []
    keeper.fire()
    keeper.publish()

    assert [state.schedule.name for state in Schedules(inspector).all()] == ["a", "b"]


def test_without_schedules_nothing_is_asked(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Timekeeper(Schedules(inspector), [])
    monkeypatch.setattr(Schedules, "now_ms", lambda _: pytest.fail("asked Redis for nothing"))

    assert keeper.fire() is False
