"""claim and start: the next task goes into the worker's own list and begins an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.errors import LeaseLost, QueueFull, QueueUnavailable
from taskq.queue.connection import Link
from taskq.queue.keys import BELL
from taskq.queue.queue import Queue
from taskq.task import Attempt, Priority, Status
from tests.integration.steps import (
    DETAIL,
    SETTLES,
    claim,
    enqueued,
    entries,
    joined,
    lapse,
    members,
    moved,
    new,
    now_ms,
    record,
    snapshot,
    started,
    status,
)


def test_a_claim_starts_an_attempt(queue: Queue) -> None:
    worker = joined(queue)
    task = new("image.resize", payload=b'{"a": 1}', max_retry=7, timeout_s=2.5, tags=("x", "y"))
    queue.enqueue(task)
    before = now_ms(queue)

    attempt = queue.claim(worker)

    assert attempt == Attempt(
        id=task.id,
        type="image.resize",
        queue="default",
        attempt=1,
        payload=b'{"a": 1}',
        max_retry=7,
        timeout_s=2.5,
        tags=("x", "y"),
    )
    stored = record(queue, task.id)
    assert (stored["status"], stored["worker_id"], stored["attempt"]) == ("processing", worker, "1")
    assert before <= int(stored["started_at"]) <= now_ms(queue)
    assert entries(queue, queue.keys.processing(worker)) == [task.id]
    assert entries(queue, queue.keys.pending) == []


def test_an_empty_queue_gives_nothing_and_changes_nothing(queue: Queue) -> None:
    worker = joined(queue)
    before = snapshot(queue)

    assert queue.claim(worker) is None
    assert snapshot(queue) == before


def test_high_goes_before_normal_and_normal_before_low(queue: Queue) -> None:
    expected: list[str] = []
    for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH):
        expected = [enqueued(queue, priority=priority), enqueued(queue, priority=priority), *expected]

    order = [claim(queue, joined(queue)).id for _ in range(6)]

    assert order == expected


def test_a_claim_adopts_what_its_own_list_holds_before_anything_else(queue: Queue) -> None:
    worker = joined(queue)
    unread = enqueued(queue)
    moved(queue, worker)
    enqueued(queue, priority=Priority.HIGH)

    attempt = claim(queue, worker)

    assert (attempt.id, attempt.attempt) == (unread, 1)


def test_a_claim_whose_reply_was_lost_answers_the_same_attempt_and_changes_nothing(queue: Queue) -> None:
    worker = joined(queue)
    first = started(queue, worker)
    enqueued(queue)
    before = snapshot(queue)

    again = queue.claim(worker)

    assert again == first
    assert snapshot(queue) == before


def test_the_attempt_number_goes_on_over_every_start(queue: Queue) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    for number in range(2, 5):
        queue.release(worker, attempt)
        attempt = claim(queue, worker)
        assert attempt.attempt == number


def test_a_start_forgets_how_the_attempt_before_ended(queue: Queue) -> None:
    worker = joined(queue)
    queue.fail(worker, started(queue, worker), "boom", DETAIL)
    queue.requeue(members(queue, queue.keys.failed)[0])

    attempt = claim(queue, worker)

    assert {"settled", "run_at", "finished_at"}.isdisjoint(record(queue, attempt.id))


@pytest.mark.parametrize("settle", SETTLES.values(), ids=SETTLES)
def test_an_entry_whose_task_is_not_to_be_run_is_dropped(queue: Queue, settle: Any) -> None:
    worker, other = joined(queue), joined(queue, "other")
    attempt = started(queue, other)
    settle(queue, other, attempt)
    if status(queue, attempt.id) is Status.PENDING:
        claim(queue, other)
    queue.link.redis.lpush(queue.keys.processing(worker), attempt.id)
    before = record(queue, attempt.id)

    found = queue.claim(worker)

    assert found is None
    assert entries(queue, queue.keys.processing(worker)) == []
    assert record(queue, attempt.id) == before


def test_an_entry_without_a_record_is_dropped_and_the_next_one_claimed(queue: Queue) -> None:
    queue.link.redis.lpush(queue.keys.pending, "no-such-task")
    task_id = enqueued(queue)

    assert claim(queue, joined(queue)).id == task_id
    assert members(queue, queue.keys.unreadable) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_worker_without_a_lease_claims_nothing(queue: Queue, known: bool) -> None:
    enqueued(queue)
    worker = joined(queue)
    if known:
        lapse(queue, worker)
    before = snapshot(queue)

    with pytest.raises(LeaseLost, match="has lapsed"):
        queue.claim(worker if known else "stranger")

    assert snapshot(queue) == before


def _replace(queue: Queue, key: str) -> None:
    queue.link.redis.delete(key)
    queue.link.redis.set(key, "not a hash")


def _put(field: str, value: str | bytes) -> Any:
    return lambda queue, key: queue.link.redis.hset(key, field, value)


UNREADABLE: dict[str, Any] = {
    "a key of another type": _replace,
    "a newer schema": _put("v", "2"),
    "a schema that is no number": _put("v", "x"),
    "no type": lambda queue, key: queue.link.redis.hdel(key, "type"),
    "an attempt that is no number": _put("attempt", "x"),
    "retries that are no number": _put("retries", "x"),
    "a retry limit that is no number": _put("max_retry", "x"),
    "crashes that are no number": _put("crashes", "x"),
    "a time limit that is no number": _put("timeout_ms", "x"),
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_record_is_parked_as_it_is_and_the_worker_goes_on(queue: Queue, spoil: Any) -> None:
    worker = joined(queue)
    bad, good = enqueued(queue), enqueued(queue)
    spoil(queue, queue.keys.task(bad))
    before = queue.link.redis.dump(queue.keys.task(bad))

    attempt = claim(queue, worker)

    assert attempt.id == good
    assert members(queue, queue.keys.unreadable) == [bad]
    assert entries(queue, queue.keys.processing(worker)) == [good]
    assert queue.link.redis.dump(queue.keys.task(bad)) == before


@pytest.mark.parametrize("field", ["type", "tags"])
def test_text_that_is_not_utf_8_does_not_stop_the_worker(queue: Queue, field: str) -> None:
    worker = joined(queue)
    bad = enqueued(queue)
    queue.link.redis.hset(queue.keys.task(bad), field, b"\xff")

    attempt = queue.claim(worker)

    assert attempt is None or attempt.id == bad


def test_a_hash_that_is_no_record_at_all_is_left_alone_and_the_worker_goes_on(queue: Queue) -> None:
    queue.link.redis.hset(queue.keys.task("odd"), "colour", "green")
    queue.link.redis.lpush(queue.keys.pending, "odd")
    good = enqueued(queue)

    assert claim(queue, joined(queue)).id == good
    assert record(queue, "odd") == {"colour": "green"}


def test_a_claim_gets_past_more_dead_entries_than_one_script_drops(queue: Queue) -> None:
    queue.link.redis.lpush(queue.keys.pending, *(f"no-such-task-{i}" for i in range(450)))
    task_id = enqueued(queue)

    assert claim(queue, joined(queue)).id == task_id
    assert entries(queue, queue.keys.pending) == []


def test_a_bell_in_the_own_list_is_taken_off(queue: Queue) -> None:
    worker = joined(queue)
    queue.link.redis.lpush(queue.keys.processing(worker), BELL)

    assert queue.claim(worker) is None
    assert entries(queue, queue.keys.processing(worker)) == []


def test_a_wait_gives_the_task_that_is_there(queue: Queue) -> None:
    task_id = enqueued(queue)

    attempt = queue.wait(joined(queue), 5)

    assert attempt is not None
    assert attempt.id == task_id


def test_a_wait_for_nothing_ends_with_nothing(queue: Queue) -> None:
    assert queue.wait(joined(queue), 0.01) is None


def test_a_wait_of_a_worker_whose_lease_lapsed_leaves_the_task_in_its_list_for_the_reaper(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker)
    task_id = enqueued(queue)

    with pytest.raises(LeaseLost):
        queue.wait(worker, 5)

    assert entries(queue, queue.keys.processing(worker)) == [task_id]
    assert status(queue, task_id) is Status.PENDING


def test_a_wait_loads_the_script_that_the_server_has_forgotten(queue: Queue) -> None:
    worker, task_id = joined(queue), enqueued(queue)
    queue.link.redis.script_flush()

    attempt = queue.wait(worker, 5)

    assert attempt is not None
    assert (attempt.id, attempt.attempt) == (task_id, 1)
    assert entries(queue, queue.keys.processing(worker)) == [task_id]
    assert not queue.link.wait_was_cut  # so that the worker takes leave when it ends


class Forgetful(Link):
    """Loses the reply of every blocking move."""

    def block_move_then(self, source: str, destination: str, block_s: float, then: bytes) -> tuple[QueueFull | None, Any]:
        super().block_move_then(source, destination, block_s, then)
        raise QueueUnavailable("the reply was lost")


def test_a_wait_whose_reply_was_lost_still_gives_the_task(redis_url: str, prefix: str) -> None:
    link = Forgetful(redis_url)
    queue = Queue(link, prefix=prefix)
    task_id = enqueued(queue)

    attempt = queue.wait(joined(queue), 1)

    assert attempt is not None
    assert attempt.id == task_id
    link.close()
