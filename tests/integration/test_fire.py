"""Fire: the task of a tick is enqueued once, whoever tries and however often."""

from __future__ import annotations

import random
import threading
import uuid

import pytest

from taskq.errors import QueueFull
from taskq.queue import gate
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Firing, Schedules
from taskq.schedule import Overlap, Schedule, task_id
from taskq.task import Priority, Status
from tests.integration.servers import own_server
from tests.integration.steps import (
    DETAIL,
    SETTLES,
    claim,
    enqueued,
    joined,
    members,
    now_ms,
    record,
    schedule,
    snapshot,
    started,
    status,
)

TICK = 1_000_000


@pytest.fixture
def schedules(inspector: Inspector) -> Schedules:
    return Schedules(inspector)


def fire(schedules: Schedules, each: Schedule, tick_ms: int = TICK) -> Firing:
    return schedules.fire(each, tick_ms, each.task(task_id(schedules.prefix, each.name, tick_ms)))


def of_tick(schedules: Schedules, each: Schedule, tick_ms: int = TICK) -> str:
    return task_id(schedules.prefix, each.name, tick_ms)


def test_the_task_of_a_tick_is_what_the_schedule_says(queue: Queue, schedules: Schedules) -> None:
    each = schedule(type="report", payload='{"days":1}', priority=Priority.HIGH, max_retry=7)

    assert fire(schedules, each) is Firing.FIRED

    attempt = claim(queue, joined(queue))
    assert (attempt.id, attempt.type, attempt.payload, attempt.max_retry) == (
        of_tick(schedules, each),
        "report",
        b'{"days":1}',
        7,
    )
    assert record(queue, attempt.id)["priority"] == "high"


def test_a_queue_that_only_a_schedule_uses_is_known(inspector: Inspector, schedules: Schedules) -> None:
    fire(schedules, schedule(queue="reports"))

    assert inspector.queue_names() == ["reports"]
    assert inspector.state("reports").counts[Status.PENDING] == 1


def test_a_tick_that_was_dealt_with_is_past_and_so_is_every_earlier_one(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    fire(schedules, each)
    before = snapshot(queue)

    assert [fire(schedules, each, tick_ms) for tick_ms in (TICK, TICK - 1)] == [Firing.PAST] * 2

    assert snapshot(queue) == before


def test_a_tick_whose_task_is_gone_is_not_fired_again(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    fire(schedules, each)
    queue.delete(of_tick(schedules, each))

    assert fire(schedules, each) is Firing.PAST

    assert status(queue, of_tick(schedules, each)) is None


def test_a_tick_before_its_moment_changes_nothing(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    fire(schedules, each)
    before = snapshot(queue)

    assert fire(schedules, each, now_ms(queue) + 60_000) is Firing.EARLY

    assert snapshot(queue) == before


def test_many_machines_at_once_enqueue_each_tick_once(redis_url: str, prefix: str, queue: Queue) -> None:
    each = schedule()
    fired: list[int] = []
    links = [Link(redis_url) for _ in range(8)]
    start = threading.Barrier(len(links))

    def machine(link: Link) -> None:
        own = Schedules(Inspector(link, prefix=prefix))
        start.wait()
        for tick_ms in range(TICK, TICK + 200):
            if random.random() < 0.1:
                continue  # it was away for that one
            if fire(own, each, tick_ms) is Firing.FIRED:
                fired.append(tick_ms)

    threads = [threading.Thread(target=machine, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        assert not thread.is_alive()

    assert len(fired) == len(set(fired)) == queue.link.redis.zcard(queue.keys.tasks)
    assert set(members(queue, queue.keys.tasks)) == {task_id(prefix, each.name, tick_ms) for tick_ms in fired}
    for link in links:
        link.close()


@pytest.mark.parametrize("state", ["pending", "scheduled", "processing"])
def test_a_schedule_that_must_not_overlap_skips_while_an_earlier_task_has_not_ended(
    queue: Queue, schedules: Schedules, inspector: Inspector, state: str
) -> None:
    each = schedule(overlap=Overlap.SKIP)
    schedules.publish([each], forget=False)
    fire(schedules, each)
    if state != "pending":
        worker = joined(queue)
        attempt = claim(queue, worker)
        if state == "scheduled":
            queue.retry(worker, attempt, 60, "boom", DETAIL)

    assert fire(schedules, each, TICK + 1) is Firing.SKIPPED
    assert fire(schedules, each, TICK + 1) is Firing.PAST

    assert members(queue, queue.keys.tasks) == [of_tick(schedules, each)]
    known = schedules.get(each.name)
    assert known is not None
    assert known.skipped_ms == TICK + 1


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "delete"])
def test_it_fires_again_once_the_earlier_task_has_ended(queue: Queue, schedules: Schedules, end: str) -> None:
    each = schedule(overlap=Overlap.SKIP)
    fire(schedules, each)
    worker = joined(queue)
    attempt = claim(queue, worker)
    if end in SETTLES:
        SETTLES[end](queue, worker, attempt)
    else:
        getattr(queue, end)(attempt.id)

    assert fire(schedules, each, TICK + 1) is Firing.FIRED


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_it_skips_again_while_an_earlier_task_that_was_requeued_has_not_ended(
    queue: Queue, schedules: Schedules, end: str
) -> None:
    each = schedule(overlap=Overlap.SKIP)
    worker = joined(queue)
    for tick_ms in (TICK, TICK + 1):
        fire(schedules, each, tick_ms)
        attempt = claim(queue, worker)
        if end == "fail":
            queue.fail(worker, attempt, "boom", DETAIL)
        else:
            queue.cancel(attempt.id)

    queue.requeue(of_tick(schedules, each))

    assert fire(schedules, each, TICK + 2) is Firing.SKIPPED
    queue.cancel(of_tick(schedules, each))
    assert fire(schedules, each, TICK + 3) is Firing.FIRED


@pytest.mark.parametrize("others", [1, 30])
def test_every_run_by_hand_counts_until_it_has_ended(queue: Queue, schedules: Schedules, others: int) -> None:
    each = schedule(overlap=Overlap.SKIP)
    first = str(uuid.uuid4())
    schedules.run(each, each.task(first))
    for _ in range(others):
        later = str(uuid.uuid4())
        schedules.run(each, each.task(later))
        queue.cancel(later)

    assert fire(schedules, each) is Firing.SKIPPED
    queue.cancel(first)
    assert fire(schedules, each, TICK + 1) is Firing.FIRED


@pytest.mark.parametrize("overlap", Overlap)
def test_what_is_kept_of_earlier_tasks_is_bounded(queue: Queue, schedules: Schedules, overlap: Overlap) -> None:
    each = schedule(overlap=overlap)

    for _ in range(250):
        schedules.run(each, each.task(str(uuid.uuid4())))

    kept = queue.link.redis.hget(queue.keys.schedule(each.name), "recent")
    assert len((kept or b"").split()) == {Overlap.SKIP: 200, Overlap.ALLOW: 20}[overlap]


def test_a_task_of_an_earlier_tick_that_was_purged_is_no_overlap(queue: Queue, schedules: Schedules) -> None:
    each = schedule(overlap=Overlap.SKIP)
    fire(schedules, each)
    assert gate.purge(queue) == 1

    assert fire(schedules, each, TICK + 1) is Firing.FIRED


def test_a_task_of_an_earlier_tick_that_ran_and_was_trimmed_is_no_overlap(queue: Queue, schedules: Schedules) -> None:
    each = schedule(overlap=Overlap.SKIP)
    fire(schedules, each)
    worker = joined(queue)
    queue.complete(worker, claim(queue, worker), b"1")
    queue.link.redis.zadd(queue.keys.completed, {of_tick(schedules, each): 1})
    assert queue.trim(Status.COMPLETED, 1) == 1

    assert fire(schedules, each, TICK + 1) is Firing.FIRED


def test_a_schedule_that_may_overlap_does(queue: Queue, schedules: Schedules) -> None:
    each = schedule()

    assert [fire(schedules, each, tick_ms) for tick_ms in (TICK, TICK + 1)] == [Firing.FIRED] * 2


def test_a_run_by_hand_is_enqueued_whatever_the_ticks_say_and_counts_as_an_earlier_task(
    queue: Queue, schedules: Schedules
) -> None:
    each = schedule(overlap=Overlap.SKIP)
    schedules.publish([each], forget=False)
    fire(schedules, each)
    schedules.pause(each)
    by_hand = str(uuid.uuid4())

    for _ in range(2):  # a repeat is harmless
        schedules.run(each, each.task(by_hand))

    schedules.resume(each)
    queue.link.redis.hset(queue.keys.schedule(each.name), "tick", TICK)
    queue.cancel(of_tick(schedules, each))
    known = schedules.get(each.name)
    assert known is not None
    assert known.last_run is not None
    assert (known.last_run.task_id, known.last_run.due_ms) == (by_hand, None)
    assert fire(schedules, each, TICK + 1) is Firing.SKIPPED
    assert queue.link.redis.zcard(queue.keys.tasks) == 2


def test_the_ticks_of_a_pause_pass_without_effect(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    schedules.pause(each)

    assert fire(schedules, each) is Firing.PAUSED
    schedules.resume(each)

    assert fire(schedules, each) is Firing.PAST
    assert members(queue, queue.keys.tasks) == []


def test_a_paused_queue_gets_the_task_and_does_not_start_it(queue: Queue, schedules: Schedules) -> None:
    gate.pause(queue)

    assert fire(schedules, schedule()) is Firing.FIRED

    assert queue.claim(joined(queue)) is None


def test_a_full_redis_leaves_the_tick_due(prefix: str) -> None:
    with own_server() as server:
        link = Link(server.url)
        inspector = Inspector(link, prefix=prefix)
        own = Schedules(inspector)
        each = schedule()
        enqueued(inspector.queue("default"))
        server.set(maxmemory="1")

        with pytest.raises(QueueFull):
            fire(own, each)
        server.set(maxmemory="0")

        assert fire(own, each) is Firing.FIRED
        link.close()


def test_the_last_run_shows_tick_moment_and_task(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    schedules.publish([each], forget=False)
    fire(schedules, each)

    known = schedules.get(each.name)

    assert known is not None
    assert known.last_run is not None
    assert known.last_run.task_id == of_tick(schedules, each)
    assert known.last_run.due_ms == TICK
    assert abs(known.last_run.at_ms - now_ms(queue)) < 5_000


def test_a_task_of_another_kind_in_the_way_is_no_overlap(queue: Queue, schedules: Schedules) -> None:
    each = schedule(overlap=Overlap.SKIP)
    fire(schedules, each)
    queue.link.redis.delete(queue.keys.task(of_tick(schedules, each)))
    queue.link.redis.set(queue.keys.task(of_tick(schedules, each)), "not a hash")

    assert fire(schedules, each, TICK + 1) is Firing.FIRED


def test_a_started_task_is_left_alone_by_later_ticks(queue: Queue, schedules: Schedules) -> None:
    each = schedule()
    worker = joined(queue)
    attempt = started(queue, worker)

    fire(schedules, each)

    assert queue.complete(worker, attempt, b"1")[0] == "ok"
