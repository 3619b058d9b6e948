"""extend and lapsed: leases on Redis' clock, and the time in which nobody could reach Redis."""

from __future__ import annotations

import pytest

from taskq.errors import LeaseLost, QueueRefused
from taskq.queue.inspect import Inspector
from taskq.queue.queue import BATCH, Queue
from tests.integration.steps import LEASE_S, MIB, PAUSE_S, claim, enqueued, joined, lapse, lease_ms, now_ms, snapshot

SLACK_MS = 2_000
"""More than the time between two commands of one test."""


def last_visit(queue: Queue, ago_s: float) -> None:
    """Let maintenance have reached Redis for the last time a while ago."""
    queue.link.redis.set(queue.keys.reaper, int(now_ms(queue) - ago_s * 1000))


def test_extend_grants_a_whole_lease_from_now_on(queue: Queue) -> None:
    worker = joined(queue)

    lapsed = queue.extend({worker: MIB}, 500, PAUSE_S)

    assert lapsed == []
    assert 500_000 - SLACK_MS < lease_ms(queue, worker) <= 500_000


def test_extend_leaves_the_leases_of_others_alone(queue: Queue) -> None:
    worker, other = joined(queue), joined(queue, "other")

    queue.extend({worker: MIB}, 500, PAUSE_S)

    assert lease_ms(queue, other) <= LEASE_S * 1000


def test_a_lapsed_lease_is_named_and_not_revived(queue: Queue) -> None:
    live, dead = joined(queue), joined(queue, "dead")
    lapse(queue, dead)
    enqueued(queue)

    lapsed = queue.extend({live: MIB, dead: MIB}, LEASE_S, PAUSE_S)

    assert lapsed == [dead]
    with pytest.raises(LeaseLost):
        queue.claim(dead)


def test_a_worker_that_never_joined_counts_as_lapsed_and_gets_no_lease(queue: Queue) -> None:
    assert queue.extend({"stranger": MIB}, LEASE_S, PAUSE_S) == ["stranger"]
    assert queue.link.redis.zscore(queue.keys.leases, "stranger") is None


def test_extend_tells_the_size_of_a_live_worker_and_of_no_other(queue: Queue, inspector: Inspector) -> None:
    one, two, dead = joined(queue), joined(queue, "two"), joined(queue, "dead")
    lapse(queue, dead)

    queue.extend({one: 7 * MIB, two: 0, dead: 5 * MIB}, LEASE_S, PAUSE_S)
    queue.extend({one: 3 * MIB, two: 0}, LEASE_S, PAUSE_S)

    assert {worker.id: worker.resident_bytes for worker in inspector.workers(queue.name)} == {one: 3 * MIB, two: None}
    assert queue.link.redis.hgetall(queue.keys.residents) == {one.encode(): str(3 * MIB).encode()}


def test_leases_go_on_where_sizes_cannot_be_kept(queue: Queue) -> None:
    one, two = joined(queue), joined(queue, "two")
    queue.link.redis.set(queue.keys.residents, "no hash")

    with pytest.raises(QueueRefused):
        queue.extend({one: MIB, two: MIB}, 500, PAUSE_S)

    assert min(lease_ms(queue, one), lease_ms(queue, two)) > 500_000 - SLACK_MS


def test_extending_nobody_changes_nothing(queue: Queue) -> None:
    joined(queue)
    before = snapshot(queue)

    assert queue.extend({}, LEASE_S, PAUSE_S) == []
    assert snapshot(queue) == before


def test_lapsed_names_the_workers_whose_lease_ended_the_longest_first(queue: Queue) -> None:
    joined(queue, "live")
    one, two = joined(queue, "one"), joined(queue, "two")
    lapse(queue, one, ago_ms=10_000)
    lapse(queue, two, ago_ms=70_000)

    found = queue.lapsed(PAUSE_S)

    assert [worker for worker, _ in found] == [two, one]
    assert 70 <= found[0][1] < 70 + SLACK_MS / 1000
    assert 10 <= found[1][1] < 10 + SLACK_MS / 1000


def test_lapsed_names_a_bounded_number_of_workers(queue: Queue) -> None:
    queue.link.redis.zadd(queue.keys.leases, {f"w{i}": i for i in range(1, 2 * BATCH)})

    assert len(queue.lapsed(PAUSE_S)) == BATCH


def test_the_first_visit_ever_finds_no_gap(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker)

    assert [name for name, _ in queue.lapsed(PAUSE_S)] == [worker]


def test_the_leases_that_ended_while_nobody_could_reach_redis_go_on(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=5_000)
    last_visit(queue, ago_s=8)

    lapsed = queue.extend({worker: MIB}, LEASE_S, pause_s=6)

    assert lapsed == []
    assert lease_ms(queue, worker) > LEASE_S * 1000 - SLACK_MS


def test_an_outage_prolongs_the_leases_of_workers_of_other_machines_too(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=5_000)
    last_visit(queue, ago_s=8)

    found = queue.lapsed(pause_s=6)

    assert found == []
    assert 3_000 - SLACK_MS < lease_ms(queue, worker) <= 3_000 + SLACK_MS


def test_a_lease_that_had_ended_before_the_outage_is_not_prolonged(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=9_000)
    last_visit(queue, ago_s=8)

    assert queue.extend({worker: MIB}, LEASE_S, pause_s=6) == [worker]
    assert lease_ms(queue, worker) <= -9_000


def test_an_outage_counts_once_however_many_maintenance_processes_return(queue: Queue) -> None:
    worker = joined(queue)
    queue.link.redis.zadd(queue.keys.leases, {worker: now_ms(queue) + 1_000})
    last_visit(queue, ago_s=20)

    for _ in range(3):
        queue.lapsed(pause_s=6)

    assert lease_ms(queue, worker) <= 21_000 + SLACK_MS


def test_a_regular_pause_is_held_against_a_lease(queue: Queue) -> None:
    worker = joined(queue)
    lapse(queue, worker, ago_ms=3_000)
    last_visit(queue, ago_s=5)

    assert queue.extend({worker: MIB}, LEASE_S, pause_s=6) == [worker]


def test_a_worker_with_an_extended_lease_claims(queue: Queue) -> None:
    worker = joined(queue)
    queue.link.redis.zadd(queue.keys.leases, {worker: now_ms(queue) + 50})
    queue.extend({worker: MIB}, LEASE_S, PAUSE_S)
    task_id = enqueued(queue)

    assert claim(queue, worker).id == task_id
