"""The counters are put where they belong in time: each once, whoever folds, and what is told does not change by it."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.queue import history, stats
from taskq.queue.connection import Link
from taskq.queue.history import HOUR_S, MINUTE_S, Growth, Now, Slice, fold, growth
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, ErrorKind
from tests.integration.steps import SETTLES, claim, enqueued, joined, now_ms, started

KILLED = ErrorDetail(kind=ErrorKind.CRASH, message="killed", signal="SIGKILL")
MANY = 1500


def a_minute_passes(queue: Queue) -> int:
    """The minute that the counters are of is over; returns it as the next fold will."""
    minute = now_ms(queue) // 1000 // MINUTE_S
    queue.link.redis.set(f"{queue.keys.stats}:minute", minute - 1)
    return minute - 1


def fold_all(queue: Queue) -> None:
    while fold(queue)[0]:
        pass


def fields(queue: Queue, part: str = "") -> dict[bytes, bytes]:
    return queue.link.hash(queue.keys.stats + part)


def told(inspector: Inspector, unit_s: int = MINUTE_S) -> dict[int, Growth]:
    """What is told of the last hours, by the beginning of each minute or hour."""
    now = Now(inspector.now_ms())
    at = now.minute * MINUTE_S // unit_s
    return growth(inspector, "default", [Slice(unit_s, at - 3, at + 1)], now)


def summed(found: dict[int, Growth]) -> dict[tuple[str, str], int]:
    total = Growth()
    for grown in found.values():
        total.add(grown)
    return dict(total.counts)


@pytest.fixture
def lived(queue: Queue) -> Queue:
    """Everything that is counted has happened at least once."""
    me = joined(queue)
    for verb in SETTLES:
        SETTLES[verb](queue, me, started(queue, me))
        for task in Inspector(queue.link, prefix=queue.keys.prefix).page(limit=9).tasks:
            queue.cancel(task.id)
    queue.cancel(started(queue, me).id)
    queue.delete(started(queue, me).id)
    for _ in range(2):
        started(queue, me)
        queue.reap(me, dead=True, max_crashes=1, error="killed", detail=KILLED)
        me = joined(queue)
    overdue = enqueued(queue, expires_in_s=600)
    queue.link.redis.hset(queue.keys.task(overdue), "expires_at", 1)
    assert queue.claim(me) is None
    return queue


def test_a_fold_puts_what_was_counted_into_the_minute_and_the_hour_that_are_over(lived: Queue) -> None:
    minute = a_minute_passes(lived)
    before = history.from_counters(fields(lived))

    fold_all(lived)

    assert fields(lived) == fields(lived, ":aside") == {}
    for unit, at in (("minute", minute), ("hour", minute // 60)):
        grown = history.from_bucket(fields(lived, f":{unit}:{at}"))
        assert (grown.counts, grown.ms) == (before.counts, before.ms)
    assert set(dict(before.counts)) == {(name, "echo") for name in history.NAMES.values()}


def test_what_is_told_is_the_same_before_and_after_a_fold(lived: Queue, inspector: Inspector) -> None:
    a_minute_passes(lived)
    before = stats.counted(inspector, "default"), summed(told(inspector)), summed(told(inspector, HOUR_S))

    fold_all(lived)
    after = stats.counted(inspector, "default"), summed(told(inspector)), summed(told(inspector, HOUR_S))

    assert plain(after[0]) == plain(before[0])
    assert after[1:] == before[1:]
    assert after[1] == after[2]


def plain(counted: stats.Counted) -> Any:
    runs = {key: (each.buckets, each.sum_s) for key, each in counted.runs.items()}
    return runs, counted.ends, counted.deaths, counted.enqueued, {key: each.buckets for key, each in counted.waits.items()}


def test_within_a_minute_a_fold_changes_nothing_but_says_how_long_that_lasts(lived: Queue) -> None:
    fold(lived)
    before, minute = fields(lived), now_ms(lived) // 60_000

    more, rest_s = fold(lived)

    assert not more
    assert 0 < rest_s <= MINUTE_S
    if now_ms(lived) // 60_000 == minute:  # else it was over just now
        assert fields(lived) == before != {}


def test_what_is_counted_while_a_fold_is_under_way_belongs_to_the_present_minute(queue: Queue, inspector: Inspector) -> None:
    many_types(queue)
    minute = a_minute_passes(queue)
    fold(queue)
    enqueued(queue)

    found = told(inspector)

    assert found[minute * MINUTE_S].sum("enqueued") == MANY
    assert summed(found)["enqueued", "echo"] == 1
    assert sum(stats.counted(inspector, "default").enqueued.values()) == MANY + 1
    a_minute_passes(queue)
    for _ in range(2):
        fold_all(queue)
    assert fields(queue) == {}
    assert sum(summed(told(inspector)).values()) == sum(summed(found).values()) == MANY + 1


def test_folds_of_several_machines_move_every_counter_once(queue: Queue, link: Link) -> None:
    many_types(queue)
    minute = a_minute_passes(queue)
    other = Queue(link, prefix=queue.keys.prefix)

    steps = 0
    while any([fold(queue)[0], fold(other)[0]]):
        steps += 1

    assert steps >= 1
    assert len(fields(queue, ":total")) == MANY
    assert set(fields(queue, ":total").values()) == {b"1"}
    assert history.from_bucket(fields(queue, f":minute:{minute}")).sum("enqueued") == MANY


def many_types(queue: Queue) -> None:
    counters: Any = {f"enqueue:in:type-{number}": 1 for number in range(MANY)}
    queue.link.redis.hset(queue.keys.stats, mapping=counters)


def test_a_minute_and_an_hour_have_room_for_so_many_counters_and_then_one_without_a_name(queue: Queue) -> None:
    many_types(queue)
    minute = a_minute_passes(queue)

    fold_all(queue)

    for part in (f":minute:{minute}", f":hour:{minute // 60}"):
        found = fields(queue, part)
        assert len(found) == history.ROOM + 1
        assert int(found[b"enqueue:"]) == MANY - history.ROOM


def test_minutes_and_hours_expire(lived: Queue) -> None:
    minute = a_minute_passes(lived)

    fold_all(lived)

    kept = [lived.link.redis.ttl(f"{lived.keys.stats}:{part}") for part in (f"minute:{minute}", f"hour:{minute // 60}")]
    assert history.MINUTES_KEPT * MINUTE_S < int(kept[0]) <= 26 * HOUR_S
    assert history.HOURS_KEPT * HOUR_S < int(kept[1]) <= 32 * 24 * HOUR_S
    assert lived.link.redis.ttl(f"{lived.keys.stats}:total") == -1


def test_growth_of_a_time_without_maintenance_goes_to_the_minute_before_it_is_back(
    queue: Queue, inspector: Inspector
) -> None:
    enqueued(queue)
    minute = a_minute_passes(queue)
    queue.link.redis.set(f"{queue.keys.stats}:minute", minute - 100)

    fold_all(queue)

    assert [at // MINUTE_S for at in told(inspector)] == [minute]


def test_counters_that_are_no_counters_stop_no_fold(queue: Queue) -> None:
    queue.link.redis.set(queue.keys.stats, "garbage")
    a_minute_passes(queue)

    assert fold(queue)[0] is False


def test_rates_tell_what_came_and_what_ended(queue: Queue, inspector: Inspector) -> None:
    me = joined(queue)
    SETTLES["complete"](queue, me, started(queue, me))
    SETTLES["fail"](queue, me, started(queue, me))
    for _ in range(4):
        enqueued(queue)
    queue.cancel(claim(queue, me).id)
    now = Now(inspector.now_ms())

    came, ended = history.rates(inspector, "default", now)

    seconds = now.ms / 1000 - (now.minute - 5) * MINUTE_S
    assert (round(came * seconds), round(ended * seconds)) == (6, 3)
    a_minute_passes(queue)
    fold_all(queue)
    assert history.rates(inspector, "default", now) == (came, ended)
