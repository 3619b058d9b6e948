"""Limits of types: what is at its limit is parked and lets others pass, and a freed place is used at once."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.errors import TaskNotFound
from taskq.limits import Limit, Limits
from taskq.queue import gate
from taskq.queue.inspect import Inspector
from taskq.queue.keys import BELL
from taskq.queue.limits import put_in_force
from taskq.queue.queue import Queue
from taskq.queue.scripts import load
from taskq.task import Attempt, Priority, Status
from taskq.units import NO_RATE, Rate
from tests.integration.steps import (
    EVERY_SETTLE,
    SETTLES,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    members,
    new,
    now_ms,
    reap,
    record,
    score,
    started,
    status,
)

MAIL = "mail.send"


def limit(queue: Queue, most: int = 1, rate: Rate = NO_RATE, generation: str = "one", type_: str = MAIL) -> bool:
    return put_in_force(queue, Limits(generation, {type_: Limit(most, rate)}))


def parked(queue: Queue, type_: str = MAIL) -> list[str]:
    return members(queue, f"{queue.keys.limits}:parked:{type_}")


def at_the_limit(queue: Queue, *priorities: Priority) -> tuple[str, Attempt, list[str]]:
    """One runs at a limit of one, and the others are parked: who runs which, and their ids."""
    limit(queue)
    worker = joined(queue, "busy")
    attempt = started(queue, worker, type_=MAIL)
    ids = [enqueued(queue, type_=MAIL, priority=priority) for priority in priorities or [Priority.NORMAL] * 2]
    assert queue.claim(joined(queue, "looks")) is None
    assert sorted(parked(queue)) == sorted(ids)
    queue.link.redis.lrem(queue.keys.pending, 0, BELL)
    return worker, attempt, ids


def wakes(queue: Queue) -> bool:
    return entries(queue, queue.keys.pending)[:1] == [BELL]


def test_tasks_of_other_types_pass_those_that_are_at_their_limit(queue: Queue) -> None:
    limit(queue, 1)
    enqueued(queue, type_=MAIL)
    second = enqueued(queue, type_=MAIL)
    other = enqueued(queue)
    claim(queue, joined(queue))

    assert claim(queue, joined(queue)).id == other
    assert (parked(queue), status(queue, second)) == ([second], Status.PENDING)


@pytest.mark.parametrize("verb", EVERY_SETTLE)
def test_a_settle_frees_the_place_and_wakes_a_worker_for_it(queue: Queue, verb: str) -> None:
    worker, attempt, ids = at_the_limit(queue)

    EVERY_SETTLE[verb](queue, worker, attempt)

    assert wakes(queue)
    expected = attempt.id if verb in ("release", "crash") else ids[0]  # what went back to the head has the earlier turn
    assert claim(queue, joined(queue)).id == expected
    assert queue.claim(joined(queue)) is None


def test_a_complete_starts_the_next_one_of_its_type_in_the_same_trip(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)

    _, following = queue.complete(worker, attempt, b"1", claim_next=True)

    assert following is not None
    assert following.id == ids[0]
    assert parked(queue) == ids[1:]


def test_parked_tasks_start_by_priority_and_then_in_their_order(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue, Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.NORMAL)
    order = []

    while attempt.id != ids[0]:
        found = queue.complete(worker, attempt, b"1", claim_next=True)[1]
        assert found is not None
        attempt = found
        order.append(attempt.id)

    assert order == [ids[2], ids[1], ids[3], ids[0]]


def test_what_is_parked_comes_before_later_tasks_of_its_priority_and_after_higher_ones(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    normal, high = enqueued(queue), enqueued(queue, priority=Priority.HIGH)

    queue.complete(worker, attempt, b"1")

    assert [claim(queue, joined(queue)).id for _ in range(3)] == [high, ids[0], normal]


@pytest.mark.parametrize("dead", [True, False])
def test_the_place_of_a_worker_that_is_gone_is_freed_by_reap(queue: Queue, dead: bool) -> None:
    worker, attempt, _ = at_the_limit(queue)
    lapse(queue, worker)

    reap(queue, worker, dead=dead)

    assert claim(queue, joined(queue)).id == attempt.id
    assert queue.claim(joined(queue)) is None


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_cancelled_attempt_keeps_its_place_until_it_has_stopped(queue: Queue, verb: str) -> None:
    worker, attempt, ids = at_the_limit(queue)

    getattr(queue, verb)(attempt.id)

    assert queue.claim(joined(queue)) is None
    queue.stop_done(worker, attempt.id, attempt.attempt)
    assert wakes(queue)
    assert claim(queue, joined(queue)).id == ids[0]


def test_a_late_word_about_an_earlier_attempt_frees_no_other_place(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    third = enqueued(queue, type_=MAIL)
    queue.cancel(attempt.id)
    limit(queue, 2, generation="two")
    assert claim(queue, worker).id == ids[0]
    assert claim(queue, joined(queue)).id == ids[1]

    queue.stop_done(worker, attempt.id, attempt.attempt)

    assert queue.claim(joined(queue)) is None
    assert parked(queue) == [third]


def test_the_place_of_a_cancelled_attempt_is_freed_when_its_worker_has_died(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    queue.cancel(attempt.id)

    reap(queue, worker)

    assert claim(queue, joined(queue)).id == ids[0]


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_parked_task_can_be_withdrawn(queue: Queue, verb: str) -> None:
    worker, attempt, ids = at_the_limit(queue)

    getattr(queue, verb)(ids[0])

    assert parked(queue) == ids[1:]
    queue.complete(worker, attempt, b"1")
    assert claim(queue, joined(queue)).id == ids[1]


def test_a_parked_task_expires(queue: Queue) -> None:
    _, _, ids = at_the_limit(queue)
    queue.link.redis.hset(queue.keys.task(ids[0]), "expires_at", 1)
    queue.link.redis.zadd(queue.keys.expiring, {ids[0]: 1})

    queue.expire()

    assert (status(queue, ids[0]), parked(queue)) == (Status.FAILED, ids[1:])


def test_a_purge_removes_what_is_parked(queue: Queue) -> None:
    _, attempt, ids = at_the_limit(queue)

    assert gate.purge(queue) == len(ids)

    assert parked(queue) == []
    assert [record(queue, task_id) for task_id in ids] == [{}, {}]
    assert status(queue, attempt.id) is Status.PROCESSING


def test_nothing_that_is_parked_starts_in_a_paused_queue(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    gate.pause(queue)
    queue.complete(worker, attempt, b"1")

    assert queue.claim(joined(queue)) is None
    queue.link.redis.delete(queue.keys.pending)
    gate.resume(queue)
    assert wakes(queue)
    assert claim(queue, joined(queue)).id == ids[0]


def test_parked_tasks_are_counted_as_pending(queue: Queue, inspector: Inspector) -> None:
    _, _, ids = at_the_limit(queue)
    moment = int(record(queue, ids[0])["ready_at"])

    state = inspector.state(queue.name)

    assert state.counts[Status.PENDING] == len(ids)
    assert state.oldest_wait_s == pytest.approx((now_ms(queue) - moment) / 1000, abs=5)
    assert state.oldest_wait_s is not None


# -- rates


def test_no_more_than_the_rate_start_in_any_period_and_the_next_does_on_time(queue: Queue) -> None:
    rate = Rate(5, 0.15)
    limit(queue, 0, rate)
    queue.enqueue_many([new(type_=MAIL) for _ in range(23)])
    worker, moments = joined(queue), list[int]()

    while len(moments) < 23:
        attempt = queue.claim(worker)
        if attempt is None:
            queue.promote()
            continue
        moments.append(int(record(queue, attempt.id)["started_at"]))
        queue.complete(worker, attempt, b"1")

    assert min(later - first for first, later in zip(moments, moments[rate.count :], strict=False)) > 150


def test_promote_says_when_the_next_start_is_due(queue: Queue) -> None:
    limit(queue, 0, Rate(1, 60))
    worker = joined(queue)
    queue.complete(worker, started(queue, worker, type_=MAIL), b"1")
    enqueued(queue, type_=MAIL)
    assert queue.claim(worker) is None

    _, due_s = queue.promote()

    assert due_s is not None
    assert 0 < due_s <= 60.001
    client: Any = queue.link.redis
    client.lset(f"{queue.keys.limits}:starts:{MAIL}", 0, now_ms(queue) - 60_001)
    queue.promote()
    assert wakes(queue)
    claim(queue, worker)


def test_a_clock_that_was_set_back_delays_nothing_for_longer_than_a_period(queue: Queue) -> None:
    limit(queue, 0, Rate(1, 60))
    worker = joined(queue)
    queue.complete(worker, started(queue, worker, type_=MAIL), b"1")
    client: Any = queue.link.redis
    client.lset(f"{queue.keys.limits}:starts:{MAIL}", 0, now_ms(queue) + 3_600_000)
    enqueued(queue, type_=MAIL)

    assert queue.claim(worker) is None
    _, due_s = queue.promote()

    assert due_s is not None
    assert due_s <= 60.001


def test_a_new_task_does_not_overtake_parked_ones_at_the_moment_when_the_rate_allows_a_start(queue: Queue) -> None:
    limit(queue, 0, Rate(1, 60))
    worker = joined(queue)
    queue.complete(worker, started(queue, worker, type_=MAIL), b"1")
    first = enqueued(queue, type_=MAIL)
    assert queue.claim(worker) is None
    client: Any = queue.link.redis
    client.lset(f"{queue.keys.limits}:starts:{MAIL}", 0, now_ms(queue) - 60_001)

    second = enqueued(queue, type_=MAIL)

    assert claim(queue, worker).id == first
    assert parked(queue) == [second]


# -- many tasks, other limits


def test_a_long_row_of_one_type_is_parked_in_bounded_steps(queue: Queue) -> None:
    limit(queue, 1)
    for _ in range(5):
        queue.enqueue_many([new(type_=MAIL) for _ in range(1000)])
    other = enqueued(queue)
    claim(queue, joined(queue))
    before = len(entries(queue, queue.keys.pending))
    queue.link.script(_claim_script(), _claim_keys(queue, worker := joined(queue)), [worker])

    assert before - len(entries(queue, queue.keys.pending)) == 200
    assert claim(queue, worker).id == other
    assert len(parked(queue)) == 4999


def test_a_raised_limit_wakes_workers_for_what_is_parked(queue: Queue) -> None:
    _, _, ids = at_the_limit(queue)

    assert limit(queue, 2, generation="two")

    assert wakes(queue)
    assert claim(queue, joined(queue)).id == ids[0]
    assert queue.claim(joined(queue)) is None


def test_a_removed_limit_releases_what_is_parked_in_its_order(queue: Queue) -> None:
    _, _, ids = at_the_limit(queue)
    limit(queue, 0, generation="two")
    later = enqueued(queue, type_=MAIL)

    assert [claim(queue, joined(queue)).id for _ in range(3)] == [*ids, later]


def test_limits_that_were_published_before_do_not_come_back(queue: Queue) -> None:
    queue.join("old", 60, b'{"limits": "one"}')
    assert limit(queue, 1, generation="one")
    assert limit(queue, 5, generation="two")

    assert not limit(queue, 1, generation="one")

    assert queue.link.redis.hget(queue.keys.limits, MAIL) == b"5 0 0"


def test_what_runs_already_counts_for_a_new_limit(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker, type_=MAIL)
    limit(queue, 1)
    waiting = enqueued(queue, type_=MAIL)

    assert queue.claim(joined(queue)) is None
    queue.complete(worker, attempt, b"1")
    assert claim(queue, joined(queue)).id == waiting


def test_a_retried_task_has_no_turn_before_others(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    SETTLES["retry"](queue, worker, attempt)
    queue.link.redis.zadd(queue.keys.scheduled, {attempt.id: 1})

    queue.promote()

    assert [claim(queue, worker).id for _ in [0]] == [ids[0]]
    assert "turn" not in record(queue, attempt.id)


def test_places_are_gone_when_everything_has_ended(queue: Queue) -> None:
    worker, attempt, ids = at_the_limit(queue)
    following: Attempt | None = attempt
    while following is not None:
        following = queue.complete(worker, following, b"1", claim_next=True)[1]
    queue.promote()

    assert [status(queue, task_id) for task_id in ids] == [Status.COMPLETED] * 2
    left = {
        key.decode().partition(":limits")[2] for key in queue.link.redis.scan_iter(f"{queue.keys.limits}*", count=10_000)
    }
    assert left == {"", ":known", ":turns"}
    with pytest.raises(TaskNotFound):
        queue.cancel("none")
    assert score(queue, queue.keys.completed, ids[0]) > 0


def _claim_script() -> Any:
    return load("claim")


def _claim_keys(queue: Queue, worker: str) -> list[str]:
    special = {"processing": queue.keys.processing(worker)}
    return [special[key] if key in special else getattr(queue.keys, key) for key in _claim_script().keys]
